// Package kubernetes reads and changes custom resources through a cluster's API server.
//
//	client.go  the calls            config.go  what is dialled, and as whom
//	patch.go   changes of a spec    errors.go  what can go wrong, told apart
//
// Objects are created whole and then changed by merge patches of what differs. Velero's resources have no subresource for the
// status: whoever PUTs one of them, or applies all of it, takes back what the server has written.
package kubernetes

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/recoup/terraform-provider-recoup/internal/settings"
)

// FieldManager is by what name the API server remembers who set a field.
const FieldManager = "terraform-recoup"

// Object is one object, as the API server has it.
type Object = unstructured.Unstructured

// Kind is a kind of namespaced objects.
type Kind struct {
	Group, Version string
	Name           string // "Schedule"
	Plural         string // "schedules"
}

func (k Kind) resource() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: k.Group, Version: k.Version, Resource: k.Plural}
}

func (k Kind) apiVersion() string { return k.Group + "/" + k.Version }

// Client calls the API server. It is safe for concurrent use.
type Client struct {
	settings settings.Kubernetes
	mutex    sync.Mutex // guards what follows
	dialled  dynamic.Interface
	server   string
}

// New neither dials nor reads a file: both may come to be by the apply that is planned.
func New(settings settings.Kubernetes) *Client { return &Client{settings: settings} }

// VeleroNamespace is that of objects which say none.
func (c *Client) VeleroNamespace() string {
	if c.settings.VeleroNamespace != "" {
		return c.settings.VeleroNamespace
	}
	return settings.DefaultVeleroNamespace
}

// objects gives the calls for one kind. What it fails with is an *Error.
func (c *Client) objects(kind Kind, namespace string) (dynamic.ResourceInterface, error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.dialled == nil {
		config, err := restConfig(c.settings)
		if err != nil {
			return nil, err
		}
		made, err := dynamic.NewForConfig(config)
		if err != nil {
			return nil, unreadable(err)
		}
		c.dialled, c.server = made, strings.TrimSuffix(config.Host, "/")
	}
	return c.dialled.Resource(kind.resource()).Namespace(namespace), nil
}

func (c *Client) wrap(err error, kind Kind, namespace, name string) error {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return explain(err, subject{server: c.server, kind: kind, namespace: namespace, name: name})
}

// Get reads an object. That there is none is an *Error with the reason NotFound; see Gone.
func (c *Client) Get(ctx context.Context, kind Kind, namespace, name string) (*Object, error) {
	objects, err := c.objects(kind, namespace)
	if err != nil {
		return nil, err
	}
	found, err := objects.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, c.wrap(err, kind, namespace, name)
	}
	return found, nil
}

// List gives the objects that have these labels ("a=b,c=d").
func (c *Client) List(ctx context.Context, kind Kind, namespace, labels string) ([]Object, error) {
	objects, err := c.objects(kind, namespace)
	if err != nil {
		return nil, err
	}
	found, err := objects.List(ctx, metav1.ListOptions{LabelSelector: labels})
	if err != nil {
		return nil, c.wrap(err, kind, namespace, "")
	}
	return found.Items, nil
}

// Create makes an object that is not there yet. Fields that the server's definition of the kind does not have are an error:
// it would drop them without a word.
func (c *Client) Create(ctx context.Context, kind Kind, metadata, spec map[string]any) (*Object, error) {
	object := &Object{Object: map[string]any{"apiVersion": kind.apiVersion(), "kind": kind.Name, "metadata": metadata, "spec": spec}}
	objects, err := c.objects(kind, object.GetNamespace())
	if err != nil {
		return nil, err
	}
	made, err := objects.Create(ctx, object, metav1.CreateOptions{FieldManager: FieldManager, FieldValidation: metav1.FieldValidationStrict})
	if err != nil {
		return nil, c.wrap(err, kind, object.GetNamespace(), object.GetName())
	}
	return made, nil
}

const (
	firstPoll   = 200 * time.Millisecond
	slowestPoll = 5 * time.Second
)

// Poll calls look, which says whether it has seen enough, at growing intervals until ctx ends: then it gives ctx's error.
func Poll(ctx context.Context, look func() (bool, error)) error {
	for pause := firstPoll; ; pause = min(pause*3/2, slowestPoll) {
		done, err := look()
		if done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// Delete removes an object and waits until it is gone, as long as ctx lasts. An object that is not there is no error, and
// neither is one that was made anew under the same name meanwhile. keepDependents leaves what has it as owner.
func (c *Client) Delete(ctx context.Context, kind Kind, namespace, name string, keepDependents bool) error {
	found, err := c.Get(ctx, kind, namespace, name)
	if Gone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	objects, err := c.objects(kind, namespace)
	if err != nil {
		return err
	}
	uid := found.GetUID()
	options := metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}}
	if keepDependents {
		orphan := metav1.DeletePropagationOrphan
		options.PropagationPolicy = &orphan
	}
	if err := objects.Delete(ctx, name, options); err != nil {
		if wrapped := c.wrap(err, kind, namespace, name); !Gone(wrapped) {
			return wrapped
		}
		return nil
	}
	last := found
	err = Poll(ctx, func() (bool, error) {
		seen, err := c.Get(ctx, kind, namespace, name)
		if err != nil && ctx.Err() != nil {
			return false, ctx.Err()
		}
		if Gone(err) {
			return true, nil
		}
		if err == nil {
			last = seen
		}
		return err == nil && seen.GetUID() != uid, err
	})
	if err != nil && ctx.Err() != nil {
		return &Error{Reason: Stuck, Message: stuckMessage(kind, last)}
	}
	return err
}

func stuckMessage(kind Kind, object *Object) string {
	which := fmt.Sprintf("%s %s/%s", kind.Name, object.GetNamespace(), object.GetName())
	finalizers := object.GetFinalizers()
	if len(finalizers) == 0 {
		return which + " is marked as deleted, but still there. The next apply waits for it again; a longer timeouts.delete " +
			"waits longer."
	}
	return fmt.Sprintf("%s is marked as deleted, but its finalizers keep it: %s. Whoever set them has to do its work first: is "+
		"it running? The next apply waits for it again. If that program is gone for good, remove them: kubectl -n %s patch %s.%s "+
		"%s --type=merge -p '{\"metadata\":{\"finalizers\":null}}'", which, strings.Join(finalizers, ", "), object.GetNamespace(),
		kind.Plural, kind.Group, object.GetName())
}
