// This file judges locations of repositories.
package validate

import (
	"errors"
	"net/url"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
)

// IsOnS3 says whether the provider's s3 settings matter for a repository.
func IsOnS3(location string) bool { return strings.HasPrefix(location, "s3:") }

// Location wants what the engine can open. Credentials do not belong into it: it is in state, in logs and on screens.
func Location() validator.String {
	return Text{Wants: "the location of a repository", Check: func(value string) error {
		rest, isS3 := strings.CutPrefix(value, "s3:")
		if !isS3 {
			for _, scheme := range []string{"rest", "sftp", "b2", "azure", "gs", "swift", "rclone"} {
				if strings.HasPrefix(value, scheme+":") {
					return errors.New("recoup opens repositories on S3 servers (s3:http://host:9000/bucket) and in " +
						"directories; " + scheme + ": is neither")
				}
			}
			return nil
		}
		if !strings.Contains(rest, "://") {
			rest = "https://" + rest
		}
		parsed, err := url.Parse(rest)
		switch {
		case err != nil || parsed.Host == "":
			return errors.New("this is not the location of a repository on an S3 server. Write it as " +
				"s3:http://10.20.0.103:9000/bucket/prefix")
		case parsed.User != nil:
			return errors.New("the location carries credentials, which would be stored in the state. Put them into the " +
				"provider's s3 block")
		case strings.Trim(parsed.Path, "/") == "":
			return errors.New("the location names no bucket. Write it as s3:http://10.20.0.103:9000/bucket/prefix")
		}
		return nil
	}}
}
