# Keys, certificates and kubeconfigs of the cluster, each made once per state folder.
# shellcheck shell=bash

make_pki() { # ADDRESS: of this machine
    mkdir -p "$LAB/pki"
    [ -f "$LAB/pki/complete" ] || make_authority "$1"
    client admin /O=system:masters/CN=admin "$1"
    client alice /O=developers/CN=alice "$1"
    client controllers /CN=system:kube-controller-manager "$1"
    client scheduler /CN=system:kube-scheduler "$1"
    client kubelet "/O=system:nodes/CN=system:node:$NODE" "$1"
    client proxy /CN=system:kube-proxy "$1"
    client dns /CN=coredns "$1"
}

make_authority() { # ADDRESS
    openssl req -x509 -newkey rsa:2048 -nodes -subj "/CN=lab-ca" -days 365 \
        -keyout "$LAB/pki/ca.key" -out "$LAB/pki/ca.crt" 2>/dev/null
    openssl genrsa -out "$LAB/pki/sa.key" 2048 2>/dev/null
    openssl rsa -in "$LAB/pki/sa.key" -pubout -out "$LAB/pki/sa.pub" 2>/dev/null
    certificate apiserver /CN=kube-apiserver "$1"
    touch "$LAB/pki/complete"
}

certificate() { # NAME SUBJECT ADDRESS
    local names
    names="DNS:localhost,DNS:$(hostname),DNS:$NODE,IP:127.0.0.1,IP:$API_ADDRESS,IP:$3"
    names+=",DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc"
    openssl req -newkey rsa:2048 -nodes -subj "$2" \
        -keyout "$LAB/pki/$1.key" -out "$LAB/pki/$1.csr" 2>/dev/null
    openssl x509 -req -in "$LAB/pki/$1.csr" -days 365 -CAcreateserial -out "$LAB/pki/$1.crt" \
        -CA "$LAB/pki/ca.crt" -CAkey "$LAB/pki/ca.key" -extfile <(echo "subjectAltName=$names") 2>/dev/null
}

client() { # NAME SUBJECT ADDRESS: a certificate and a kubeconfig that works wherever it is copied to
    [ ! -f "$LAB/$1.kubeconfig" ] || return 0
    certificate "$@"
    cat >"$LAB/$1.kubeconfig" <<C
apiVersion: v1
kind: Config
clusters:
- name: lab
  cluster:
    server: https://$3:6443
    certificate-authority-data: $(base64 -w0 "$LAB/pki/ca.crt")
users:
- name: $1
  user:
    client-certificate-data: $(base64 -w0 "$LAB/pki/$1.crt")
    client-key-data: $(base64 -w0 "$LAB/pki/$1.key")
contexts:
- name: lab
  context: {cluster: lab, user: $1}
current-context: lab
C
    chmod 600 "$LAB/$1.kubeconfig"
}
