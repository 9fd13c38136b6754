// Package velerobucket has the data sources recoup_velero_backups and recoup_velero_volumes: what Velero has put into its bucket,
// with no cluster.
//
//	bucket.go   the objects, through the engine     records.go  what is in them
//	backups.go  recoup_velero_backups               volumes.go  recoup_velero_volumes
//
// Nothing is written, and everything that is read may have been written by somebody else: sizes are bounded.
package velerobucket

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/recoup/terraform-provider-recoup/internal/access"
	"github.com/recoup/terraform-provider-recoup/internal/diagnosis"
	"github.com/recoup/terraform-provider-recoup/internal/engine"
	"github.com/recoup/terraform-provider-recoup/internal/providerdata"
)

var places = diagnosis.Places{"bucket": path.Root("bucket"), "prefix": path.Root("prefix")}

const (
	longestListing = 1_000_000
	keysAtOnce     = 500
	greatestObject = 64 << 20
	// greatestText is of what an object unpacks to: a file of zeros is a thousand times as large.
	greatestText = 256 << 20
)

func bucketAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"bucket": schema.StringAttribute{Required: true, MarkdownDescription: "Name of Velero's bucket on the provider's S3 server. It is read while planning, and after the " +
			"bucket is made where this is `recoup_bucket.NAME.name`.",
			Validators: []validator.String{stringvalidator.LengthAtLeast(1)}},
		"prefix": schema.StringAttribute{Optional: true, MarkdownDescription: "Directory in it, as in the backup location. Default: the whole bucket.",
			Validators: []validator.String{stringvalidator.LengthAtLeast(1)}},
	}
}

// bucket is a place that Velero writes to.
type bucket struct {
	data   *providerdata.Data
	name   string
	prefix string // with a slash at its end, or ""
}

// openBucket is nil, with an error, where the server is not known yet.
func openBucket(data *providerdata.Data, name, prefix types.String, diags *diag.Diagnostics) *bucket {
	if !access.CheckKnown(data, diags) {
		return nil
	}
	opened := &bucket{data: data, name: name.ValueString(), prefix: strings.Trim(prefix.ValueString(), "/")}
	if opened.prefix != "" {
		opened.prefix += "/"
	}
	return opened
}

// backup is a directory in backups/: its files, with their sizes.
type backup struct {
	name  string
	files map[string]int64
	bytes int64
	last  string // when the newest of its files was written
}

func (b backup) has(suffix string) bool {
	_, found := b.files[b.name+suffix]
	return found
}

const descriptionFile = "velero-backup.json"

// backups lists those whose names begin with the text.
func (b *bucket) backups(ctx context.Context, beginning string) ([]*backup, error) {
	root := b.prefix + "backups/"
	var listing struct {
		Objects []struct {
			Key      string `json:"key"`
			Size     int64  `json:"size"`
			Modified string `json:"modified"`
		} `json:"objects"`
		Truncated bool `json:"truncated"`
	}
	parameters := map[string]any{"s3": b.data.Settings.S3, "bucket": b.name, "prefix": root + beginning, "limit": longestListing}
	if err := b.data.Engine.Call(ctx, "object.list", parameters, &listing, nil); err != nil {
		return nil, err
	}
	if listing.Truncated {
		return nil, fmt.Errorf("there are more than %d objects below %s in the bucket %s: is this Velero's bucket", longestListing, root, b.name)
	}
	var found []*backup
	for _, object := range listing.Objects {
		name, file, isInside := strings.Cut(strings.TrimPrefix(object.Key, root), "/")
		if !isInside || name == "" || file == "" || strings.Contains(file, "/") {
			continue
		}
		if len(found) == 0 || found[len(found)-1].name != name {
			found = append(found, &backup{name: name, files: map[string]int64{}})
		}
		of := found[len(found)-1]
		of.files[file] = object.Size
		of.bytes += object.Size
		of.last = max(of.last, object.Modified)
	}
	return found, nil
}

// key is where a file of a backup is.
func (b *bucket) key(of *backup, file string) string {
	return b.prefix + "backups/" + of.name + "/" + file
}

// content is what an object holds; or why that is not known.
type content struct {
	text    []byte
	problem string
}

// read gives what the objects hold, in the order of their keys.
func (b *bucket) read(ctx context.Context, keys []string) ([]content, error) {
	var all []content
	for len(keys) > 0 {
		some := keys[:min(len(keys), keysAtOnce)]
		keys = keys[len(some):]
		var answer struct {
			Objects []struct {
				Key     string `json:"key"`
				Content []byte `json:"content"`
				Problem string `json:"problem"`
			} `json:"objects"`
		}
		parameters := map[string]any{"s3": b.data.Settings.S3, "bucket": b.name, "keys": some, "limit": greatestObject}
		if err := b.data.Engine.Call(ctx, "object.read", parameters, &answer, nil); err != nil {
			return nil, err
		}
		if len(answer.Objects) != len(some) {
			return nil, &engine.Error{Code: engine.CodeProtocol, Message: fmt.Sprintf("The engine gives %d objects where %d were asked for.", len(answer.Objects), len(some))}
		}
		for _, each := range answer.Objects {
			all = append(all, content{text: each.Content, problem: wordsFor(each.Problem)})
		}
	}
	return all, nil
}

func wordsFor(problem string) string {
	switch problem {
	case "":
		return ""
	case "not_found":
		return "is not there"
	case "too_large":
		return fmt.Sprintf("is larger than %d bytes", greatestObject)
	}
	return problem
}

// unzip unpacks a file of Velero's into value. Its error follows the name of the file.
func (c content) unzip(into any) error {
	if c.problem != "" {
		return fmt.Errorf("%s", c.problem)
	}
	packed, err := gzip.NewReader(bytes.NewReader(c.text))
	if err != nil {
		return fmt.Errorf("is not packed by gzip: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(packed, greatestText+1))
	switch {
	case err != nil:
		return fmt.Errorf("cannot be unpacked: %w", err)
	case len(text) > greatestText:
		return fmt.Errorf("unpacks to more than %d bytes", greatestText)
	}
	return content{text: text}.parse(into)
}

func (c content) parse(into any) error {
	if c.problem != "" {
		return fmt.Errorf("%s", c.problem)
	}
	err := json.Unmarshal(c.text, into)
	var odd *json.UnmarshalTypeError
	if errors.As(err, &odd) {
		return fmt.Errorf("is not as Velero writes it: %s is a JSON %s", cmp.Or(strings.Trim(odd.Field, "."), "the whole"), odd.Value)
	}
	if err != nil {
		return fmt.Errorf("is no JSON of Velero's: %w", err)
	}
	return nil
}
