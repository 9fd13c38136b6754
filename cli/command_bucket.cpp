#include <memory>

#include "bucket.hpp"
#include "command.hpp"

namespace recoup::cli {

void add_bucket_command(command_tree& tree) {
  auto& command =
      tree.add(tree.root, "bucket", "[command]", "Manage buckets of S3 servers: make, look into, lock, copy them");
  command.details =
      "Manages buckets on any S3 server. Locations are written as for repositories,\n"
      "s3:https://host[:port]/bucket[/prefix] or s3:http://…; without one, the repository's bucket is meant (-r or\n"
      "$RESTIC_REPOSITORY). Credentials and -o s3.… options are those for repositories too.\n\n"
      "What a server does not have (many know no lifecycle rules or no object lock) is said to be so.\n";
  auto& group = *command.app;
  add_bucket_create_command(tree, group);
  add_bucket_lifecycle_command(tree, group);
  add_bucket_list_command(tree, group);
  add_bucket_lock_command(tree, group);
  add_bucket_policy_command(tree, group);
  add_bucket_remove_command(tree, group);
  add_bucket_show_command(tree, group);
  add_bucket_sync_command(tree, group);
  add_bucket_usage_command(tree, group);
  add_bucket_versioning_command(tree, group);
}

}  // namespace recoup::cli
