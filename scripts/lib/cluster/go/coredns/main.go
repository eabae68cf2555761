// CoreDNS with the few plugins that a cluster without a way out needs: built in two minutes instead of ten.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"

	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/template"
)

// A query passes them in this order, whatever the Corefile's is.
func init() { dnsserver.Directives = []string{"bind", "errors", "kubernetes", "template"} }

func main() { coremain.Run() }
