// An S3 client as the command line sets it up.
#pragma once

#include <map>
#include <memory>
#include <string>

#include <recoup/s3/client.hpp>
#include <recoup/s3/location.hpp>

#include "command.hpp"

namespace recoup::cli {

/// Stops when the user asks to, and prints what passes as warnings. `options` as global_options::backend_options.
[[nodiscard]] std::shared_ptr<s3_client> open_s3_client(const context& call, const s3_endpoint& server,
                                                        const std::map<std::string, std::string>& options);
[[nodiscard]] inline std::shared_ptr<s3_client> open_s3_client(const context& call, const s3_endpoint& server) {
  return open_s3_client(call, server, call.options.backend_options);
}

}  // namespace recoup::cli
