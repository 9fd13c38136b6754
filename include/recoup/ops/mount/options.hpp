// What a mount is to show, and how much memory it may use.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <string>

#include <recoup/ops/mount/snapshot_directory.hpp>
#include <recoup/ops/snapshots.hpp>

namespace recoup {

struct mount_options {
  snapshot_filter filter;
  snapshot_directory_templates templates;
  bool owner_root = false;  ///< everything belongs to root, else to whom the backup says
  /// How old the list of snapshots may be before someone who looks at it makes us read it again.
  std::chrono::milliseconds reload_interval = std::chrono::seconds(60);
  std::size_t blob_memory = std::size_t{64} << 20;       ///< bytes of opened data blobs to keep
  std::size_t directory_memory = std::size_t{64} << 20;  ///< bytes of decoded directories to keep
};

/// How the kernel is to show it.
struct fuse_mount_options {
  std::string source;               ///< what `mount` and `df` show as the device
  bool allow_other = false;         ///< other users may look at it
  bool default_permissions = false; ///< and then see what modes and owners allow them
};

}  // namespace recoup
