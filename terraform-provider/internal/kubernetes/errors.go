// This file tells apart what the API server, or the way to it, can answer with.
package kubernetes

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Reason says what kind of failure an Error is.
type Reason int

// What a call can fail with.
const (
	Failed           Reason = iota // something else: the message says what
	Unconfigured                   // nothing says where the cluster is, or it cannot be read
	Unreachable                    // no answer
	Untrusted                      // the server's certificate, or it speaks no TLS
	Unauthorized                   // it does not know whoever asks
	Forbidden                      // it does not allow it
	KindMissing                    // it does not know the kind: no such resource definition
	NamespaceMissing               // there is no such namespace
	NotFound                       // there is no such object
	Exists                         // there is one already
	Refused                        // it does not take what the object says
	Conflicted                     // other managers have set the same fields
	Stuck                          // a deletion that does not end
)

// Error is a failure of a call: what failed, why, and what to do next.
type Error struct {
	Reason  Reason
	Message string
	Fields  []string // in conflict: ".spec.paused"
	cause   error
}

func (e *Error) Error() string { return e.Message }
func (e *Error) Unwrap() error { return e.cause }

// Has says whether err is an *Error with that reason.
func Has(err error, reason Reason) bool {
	var failed *Error
	return errors.As(err, &failed) && failed.Reason == reason
}

// Gone says whether err is that there is no such object, nor can be: its namespace or its kind are gone, too.
func Gone(err error) bool {
	return Has(err, NotFound) || Has(err, NamespaceMissing) || Has(err, KindMissing)
}

type subject struct {
	server          string
	kind            Kind
	namespace, name string
}

func (s subject) String() string { return fmt.Sprintf("%s %s/%s", s.kind.Name, s.namespace, s.name) }

func explain(err error, about subject) error {
	var failed *Error
	if err == nil || errors.As(err, &failed) {
		return err
	}
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		return explainStatus(err, status.Status(), about)
	}
	return explainTransport(err, about)
}

func explainStatus(err error, status metav1.Status, about subject) *Error {
	reply := func(reason Reason, format string, arguments ...any) *Error {
		return &Error{Reason: reason, Message: fmt.Sprintf(format, arguments...), cause: err}
	}
	switch {
	case status.Code == http.StatusUnauthorized:
		return reply(Unauthorized, "The API server at %s does not accept these credentials. Correct the provider's kubernetes "+
			"block: token (or KUBE_TOKEN), client_certificate and client_key, exec, or what the kubeconfig says. Tokens expire.", about.server)
	case status.Code == http.StatusBadRequest && apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse):
		return reply(Untrusted, "What listens at %s is no API server, or wants TLS. Write kubernetes.host as https://10.20.0.10:6443.", about.server)
	case apierrors.HasStatusCause(err, "NamespaceTerminating"):
		return reply(NamespaceMissing, "The namespace %s is being deleted, so that nothing can be made in it. Wait for its end, "+
			"and make it anew.", about.namespace)
	case status.Code == http.StatusForbidden:
		return reply(Forbidden, "The API server at %s does not allow it: %s. Whoever applies needs a Role in %s for the API group %s "+
			"with the resource %s and the verbs get, create, patch and delete.", about.server, status.Message, about.namespace,
			about.kind.Group, about.kind.Plural)
	case status.Code == http.StatusNotFound && status.Details != nil && status.Details.Kind == "namespaces":
		return reply(NamespaceMissing, "There is no namespace %s on %s. Velero's is made when Velero is installed (velero install, or "+
			"its Helm chart): is this the right cluster, and the right velero_namespace? If this apply installs Velero, let this "+
			"resource depend on that.", about.namespace, about.server)
	case apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse) && status.Code == http.StatusNotFound:
		return reply(KindMissing, "The API server at %s does not know %s %s: Velero's resource definitions are not there. Install "+
			"Velero first (velero install, or its Helm chart), or its definitions alone (velero install --crds-only). If this "+
			"apply does so, let this resource depend on that.", about.server, about.kind.apiVersion(), about.kind.Name)
	case status.Code == http.StatusNotFound:
		return reply(NotFound, "There is no %s on %s.", about, about.server)
	case status.Reason == metav1.StatusReasonAlreadyExists:
		return reply(Exists, "There is a %s already on %s.", about, about.server)
	case status.Code == http.StatusUnprocessableEntity || status.Code == http.StatusBadRequest:
		return reply(Refused, "The API server does not take %s: %s.%s", about, strings.TrimSuffix(status.Message, "."), unknownFieldRemedy(status))
	}
	return reply(Failed, "The API server at %s failed on %s: %s.", about.server, about, strings.TrimSuffix(status.Message, "."))
}

func unknownFieldRemedy(status metav1.Status) string {
	if strings.Contains(status.Message, "unknown field") {
		return " The Velero that is installed there does not know this field: leave it out, or upgrade Velero's resource definitions."
	}
	return ""
}

func explainTransport(err error, about subject) *Error {
	reply := func(reason Reason, format string, arguments ...any) *Error {
		return &Error{Reason: reason, Message: fmt.Sprintf(format, arguments...), cause: err}
	}
	why := err
	var request *url.Error
	if errors.As(err, &request) {
		why = request.Err // without the URL, which is long
	}
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var certificate *tls.CertificateVerificationError
	switch text := err.Error(); {
	case errors.As(err, &name):
		return reply(Untrusted, "The certificate of the API server at %s is for other names: %v. Correct kubernetes.host, or set "+
			"kubernetes.tls_server_name.", about.server, why)
	case errors.As(err, &authority) || errors.As(err, &certificate):
		return reply(Untrusted, "The certificate of the API server at %s is not trusted: %v. Set kubernetes.cluster_ca_certificate "+
			"(or KUBE_CLUSTER_CA_CERT_DATA) to the cluster's authority, as file(\"ca.crt\").", about.server, why)
	case strings.Contains(text, "server gave HTTP response to HTTPS client"):
		return reply(Untrusted, "What listens at %s speaks no TLS. Correct kubernetes.host.", about.server)
	case strings.Contains(text, "getting credentials"):
		return reply(Unauthorized, "The program that gives the credentials failed: %v. Correct kubernetes.exec, or the kubeconfig.", why)
	case errors.Is(err, context.Canceled):
		return reply(Failed, "The waiting for the API server at %s was stopped.", about.server)
	}
	return reply(Unreachable, "The API server at %s gives no answer: %v. Is it running, and can the machine that runs Terraform "+
		"reach it? Else correct kubernetes.host or the kubeconfig. If this apply creates the cluster, let this resource depend on "+
		"it.", about.server, why)
}
