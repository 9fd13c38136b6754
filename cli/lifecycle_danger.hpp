// Rules of a bucket's lifecycle that would destroy the backups in it.
#pragma once

#include <string>
#include <vector>

#include <recoup/s3/bucket/lifecycle.hpp>
#include <recoup/s3/client.hpp>

namespace recoup::cli {

struct lifecycle_dangers {
  std::vector<std::string> found{};  ///< a sentence for each rule and repository
  bool looked_everywhere = true;     ///< false: the bucket has too many directories
};

/// Looks for restic repositories in the bucket, if there is a rule that could harm one.
[[nodiscard]] lifecycle_dangers find_dangers(s3_client& client, const std::string& bucket,
                                             const bucket_lifecycle& wanted);

}  // namespace recoup::cli
