// Package kubetools has the versions of the tools that the chart is tested with, and of the kinds of objects that it
// makes for others: cert-manager and the Prometheus operator.
package kubetools

import (
	_ "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	_ "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
)
