# Shared by up and down: where things are, and how a program is started, awaited and stopped.
# shellcheck shell=bash disable=SC2034  # the variables are used by those who source this
#
#   LAB       state, kubeconfigs and logs (default /tmp/lab)
#   KUBE_BIN  what `build` made (default /opt/kubernetes/bin)
LAB=${LAB:-/tmp/lab}
KUBE_BIN=${KUBE_BIN:-/opt/kubernetes/bin}
NODE=node-a
SERVICE_RANGE=10.96.0.0/16
POD_RANGE=10.88.0.0/16
API_ADDRESS=10.96.0.1
DNS_ADDRESS=10.96.0.10
PAUSE_IMAGE=localhost/pause:lab
# Apart from what podman keeps on this machine, but below the folder that nodes with CRI-O have.
CRIO_STORAGE=/var/lib/containers/lab
CRIO_RUN=/run/containers/lab
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)
export PATH=$KUBE_BIN:$PATH

die() {
    echo "cluster: $*" >&2
    exit 1
}

need_root() {
    [ "$(id -u)" = 0 ] || die "a cluster needs root"
}

is_running() { # NAME
    [ -f "$LAB/$1.pid" ] && kill -0 "$(cat "$LAB/$1.pid")" 2>/dev/null
}

# Start a program in the background, once. One that runs with other arguments is started anew.
start() { # NAME COMMAND...
    local name=$1
    shift
    if is_running "$name"; then
        [ "$(cat "$LAB/$name.args")" != "$*" ] || return 0
        stop "$name"
    fi
    echo "$*" >"$LAB/$name.args"
    setsid nohup "$@" >>"$LAB/log/$name.log" 2>&1 </dev/null &
    echo $! >"$LAB/$name.pid"
}

stop() { # NAME...
    local name pid
    for name in "$@"; do
        [ -f "$LAB/$name.pid" ] || continue
        pid=$(cat "$LAB/$name.pid")
        kill "$pid" 2>/dev/null || true
        for _ in $(seq 100); do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.1
        done
        kill -9 "$pid" 2>/dev/null || true
        rm -f "$LAB/$name.pid"
    done
}

# Which runtime the node has, containerd or cri-o: as RUNTIME says, or as it was before.
node_runtime() {
    local known
    known=$(cat "$LAB/runtime" 2>/dev/null || true)
    echo "${RUNTIME:-${known:-containerd}}"
}

runtime_socket() {
    case $(node_runtime) in
        containerd) echo /run/containerd/containerd.sock ;;
        cri-o) echo /run/crio/crio.sock ;;
        *) die "RUNTIME is containerd or cri-o, not $(node_runtime)" ;;
    esac
}

load_images() { # ARCHIVE...: OCI archives, into the node's runtime
    local archive
    for archive in "$@"; do
        if [ "$(node_runtime)" = cri-o ]; then
            podman --root "$CRIO_STORAGE" --runroot "$CRIO_RUN" --storage-driver overlay \
                load --quiet --input "$archive"
        else
            ctr -n k8s.io image import --local "$archive"
        fi >/dev/null
    done
}

wait_for() { # SECONDS PROGRAM COMMAND...: until COMMAND succeeds
    local end=$((SECONDS + $1)) program=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        is_running "$program" || die "$program ended; its last words: $(tail -n 3 "$LAB/log/$program.log")"
        [ $SECONDS -lt $end ] || die "$program did not come up; see $LAB/log/$program.log"
        sleep 0.3
    done
}
