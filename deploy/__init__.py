"""How keelwatch comes onto a cluster: the image and the Helm chart."""
