// An S3 client as the command line sets it up.
#pragma once

#include <map>
#include <memory>
#include <string>

#include <recoup/http/options.hpp>
#include <recoup/s3/client.hpp>
#include <recoup/s3/location.hpp>

#include "command.hpp"

namespace recoup::cli {

/// Certificates, rates and time limits of the global flags.
[[nodiscard]] http_options http_options_of(const global_options& options);

/// Stops when the user asks to, and prints what passes as warnings. `settings` as global_options::backend_options.
[[nodiscard]] std::shared_ptr<s3_client> open_s3_client(context& call, const s3_endpoint& server,
                                                        const std::map<std::string, std::string>& settings);
[[nodiscard]] inline std::shared_ptr<s3_client> open_s3_client(context& call, const s3_endpoint& server) {
  return open_s3_client(call, server, call.options.backend_options);
}

}  // namespace recoup::cli
