// What the methods bucket.… of the machine interface have in common.
#pragma once

#include <memory>
#include <string>

#include <recoup/s3/client.hpp>

#include "engine_parameters.hpp"

namespace recoup::cli {

/// The bucket that a request is about, on its server.
struct engine_bucket {
  engine_bucket(const engine_call& call, const engine_parameters& from);

  /// To be thrown where it is not there.
  [[nodiscard]] engine_parameter_error missing() const;

  std::shared_ptr<s3_client> client;
  std::string name;
};

/// The result of bucket.get for a bucket that is there. Throws access_denied if nothing of it may be seen.
[[nodiscard]] std::string describe_bucket(s3_client& client, const std::string& bucket);

/// bucket.apply, in engine_bucket_apply.cpp.
[[nodiscard]] std::string apply_to_bucket(engine_call& call);

}  // namespace recoup::cli
