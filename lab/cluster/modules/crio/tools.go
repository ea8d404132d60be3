//go:build tools

package lab

import _ "github.com/cri-o/cri-o/cmd/crio"
