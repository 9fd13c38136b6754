// This file is the table of what a BackupStorageLocation can say.
package velero

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/boolplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/recoup/terraform-provider-recoup/internal/validate"
)

var locationFields = []field{
	{name: "object_store", in: []string{"provider"}, kind: text{}, attribute: schema.StringAttribute{Optional: true, Computed: true,
		Default:             stringdefault.StaticString("aws"),
		MarkdownDescription: "Velero's plugin for the store (`spec.provider`). Default: `aws`, which is that for S3 servers of any kind.", Validators: nonEmpty()}},
	{name: "bucket", in: []string{"objectStorage", "bucket"}, kind: text{}, attribute: schema.StringAttribute{Required: true,
		MarkdownDescription: "Name of the bucket: `recoup_bucket.NAME.name`.", Validators: nonEmpty()}},
	{name: "prefix", in: []string{"objectStorage", "prefix"}, kind: text{}, attribute: words("Directory in the bucket that Velero keeps to. Whatever else lies in it "+
		"makes Velero call the location unavailable. Default: the whole bucket.", prefixText())},
	{name: "ca_cert", in: []string{"objectStorage", "caCert"}, kind: certificates{}, attribute: words("PEM text of the authorities that the server's certificate is checked against.", pemText())},
	{name: "region", in: []string{"config", "region"}, kind: text{}, attribute: words("Region to sign requests for. MinIO takes any, as `minio`.", nonEmpty()...)},
	{name: "s3_url", in: []string{"config", "s3Url"}, kind: text{}, attribute: words("URL of the S3 server, as pods of the cluster reach it. Default: Amazon's.", validate.URL("http", "https"))},
	{name: "s3_force_path_style", in: []string{"config", "s3ForcePathStyle"}, kind: flagText{}, attribute: boolean("Whether the bucket is named in the path of requests, which MinIO " +
		"wants. Default: false.")},
	{name: "credential", in: []string{"credential"}, kind: secretKey{}, attribute: schema.SingleNestedAttribute{Optional: true,
		MarkdownDescription: "The Secret, in Velero's namespace, with the credentials as a file of the AWS tools has them. Only its name passes through " +
			"Terraform. Default: what Velero itself was installed with.",
		Attributes: map[string]schema.Attribute{
			"name": schema.StringAttribute{Required: true, MarkdownDescription: "Name of the Secret.", Validators: []validator.String{nameValidator(253)}},
			"key":  schema.StringAttribute{Required: true, MarkdownDescription: "Which of its entries, mostly `cloud`.", Validators: nonEmpty()}}}},
	{name: "access_mode", in: []string{"accessMode"}, kind: text{}, otherwise: types.StringValue("ReadWrite"), attribute: schema.StringAttribute{Optional: true, Computed: true,
		Default: stringdefault.StaticString("ReadWrite"), Validators: []validator.String{stringvalidator.OneOf("ReadWrite", "ReadOnly")},
		MarkdownDescription: "`ReadWrite`, or `ReadOnly`: nothing is backed up into it, and nothing removed from it. Default: `ReadWrite`."}},
	{name: "default", in: []string{"default"}, kind: flag{absent: false}, otherwise: types.BoolValue(false), attribute: schema.BoolAttribute{Optional: true, Computed: true,
		PlanModifiers: []planmodifier.Bool{boolplanmodifier.UseStateForUnknown()},
		MarkdownDescription: "Whether backups go there that name no location. Velero leaves this to one location, the newest that says so. Default: " +
			"what it is."}},
	{name: "validation_frequency", in: []string{"validationFrequency"}, kind: duration{zeroCounts: true}, attribute: words("How often Velero looks whether the location is usable; `0s`: never. Default: `1m`.", durationText(0))},
	{name: "backup_sync_period", in: []string{"backupSyncPeriod"}, kind: duration{zeroCounts: true}, attribute: words("How often Velero looks for backups in the bucket that the cluster does not know; `0s`: never. Default: `1m`.", durationText(0))},
	// The last of those below "config", of which it has what they leave.
	{name: "config", in: []string{"config"}, kind: textMap{}, attribute: schema.MapAttribute{Optional: true, ElementType: types.StringType,
		MarkdownDescription: "Further settings of the plugin, as `{ checksumAlgorithm = \"\", publicUrl = \"https://s3.example.net\" }`.",
		Validators:          []validator.Map{otherConfig{}}}},
}

func prefixText() validator.String {
	return validate.Text{Wants: "a directory in a bucket", Check: func(value string) error {
		if value == "" || strings.HasPrefix(value, "/") {
			return errors.New("the keys of a bucket begin without a slash. Write it as velero, or cluster/velero")
		}
		return nil
	}}
}

func pemText() validator.String {
	return validate.Text{Wants: "certificates in PEM", Check: func(value string) error {
		block, _ := pem.Decode([]byte(value))
		switch {
		case block == nil:
			return errors.New("this is no PEM text. Give it the file's content, not its name nor its base64: file(\"ca.crt\")")
		case block.Type != "CERTIFICATE":
			return fmt.Errorf("this is a %s where certificates are wanted", block.Type)
		}
		return nil
	}}
}

// otherConfig refuses settings that have attributes of their own.
type otherConfig struct{}

func (otherConfig) Description(context.Context) string {
	return "must have no settings that have attributes of their own"
}

func (v otherConfig) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (otherConfig) ValidateMap(_ context.Context, request validator.MapRequest, response *validator.MapResponse) {
	for key := range request.ConfigValue.Elements() {
		for _, each := range locationFields {
			if len(each.in) == 2 && each.in[0] == "config" && each.in[1] == key {
				response.Diagnostics.AddAttributeError(request.Path.AtMapKey(key), "Invalid Attribute Combination", key+" has an attribute of its own: "+each.name+".")
			}
		}
	}
}

// flagText is true or false as a text, in all forms that Velero's plugin takes: True and 1 as well.
type flagText struct{}

func (flagText) attrType() attr.Type { return types.BoolType }
func (flagText) encode(value attr.Value) (any, error) {
	return fmt.Sprint(value.(types.Bool).ValueBool()), nil
}
func (flagText) decode(_ context.Context, found any) (attr.Value, error) {
	// What is neither is no error here: it could not be put right then. Velero says so in the location's message.
	if found != "true" && found != "false" {
		return types.BoolNull(), nil
	}
	return types.BoolValue(found == "true"), nil
}
func (flagText) canonical(found any) any {
	if said, ok := found.(string); ok {
		if isTrue, err := strconv.ParseBool(said); err == nil {
			return fmt.Sprint(isTrue)
		}
	}
	return unless(found == "", found)
}

var secretKeyType = types.ObjectType{AttrTypes: map[string]attr.Type{"name": types.StringType, "key": types.StringType}}

// secretKey is a corev1.SecretKeySelector.
type secretKey struct{}

func (secretKey) attrType() attr.Type { return secretKeyType }
func (secretKey) encode(value attr.Value) (any, error) {
	of := value.(types.Object).Attributes()
	return map[string]any{"name": of["name"].(types.String).ValueString(), "key": of["key"].(types.String).ValueString()}, nil
}
func (secretKey) decode(_ context.Context, found any) (attr.Value, error) {
	members, ok := found.(map[string]any)
	name, _ := members["name"].(string)
	key, isText := members["key"].(string)
	return types.ObjectValueMust(secretKeyType.AttrTypes, map[string]attr.Value{"name": types.StringValue(name), "key": types.StringValue(key)}),
		expected(ok && isText, "the name and the key of a Secret", found)
}

// canonical passes over `optional`, which has no attribute.
func (secretKey) canonical(found any) any {
	members, ok := found.(map[string]any)
	if !ok {
		return found
	}
	kept := map[string]any{}
	for _, name := range []string{"name", "key"} {
		if member, has := members[name]; has {
			kept[name] = member
		}
	}
	return notEmpty(kept)
}
