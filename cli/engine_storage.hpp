// The parameters `s3` and `repository` of the machine interface (docs/engine.md): what they say wins over flags and
// environment, what they leave out is found as every command finds it.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include <recoup/crypto/secret.hpp>
#include <recoup/s3/client.hpp>
#include <recoup/s3/credentials/provider.hpp>
#include <recoup/storage/backend.hpp>

#include "engine_parameters.hpp"
#include "global_options.hpp"

namespace recoup::cli {

/// The parameter `s3`, read.
struct engine_s3 {
  global_options options;  ///< the command's, with what the request says of region, certificates and addressing
  std::string endpoint{};  ///< as the request has it; "" if it has none
  std::shared_ptr<credential_provider> credentials{};  ///< null: to be looked for
};

/// `path` is where the parameter stands, "s3".
[[nodiscard]] engine_s3 read_s3(const engine_call& call, const engine_parameters& from, std::string_view name = "s3");

/// A client for the server that the parameter names, or else that of the command's own location. A server that does not
/// answer is given up within seconds: whoever plans is waiting.
[[nodiscard]] std::shared_ptr<s3_client> open_client(const engine_call& call, const engine_s3& s3);

/// The parameter `repository`, read.
struct engine_place {
  std::string location{};
  std::string path{};                        ///< of the parameter: "repository"
  std::string password_path{};               ///< of the parameter that gave the password
  std::optional<secret_bytes> password{};    ///< what opens it; nothing if nobody says
  bool no_cache = false;
  std::string cache_directory{};
};

[[nodiscard]] engine_place read_place(const engine_call& call, const engine_parameters& from, std::string_view name);

/// Where it lies, not looked into yet.
[[nodiscard]] std::shared_ptr<backend> open_place(const engine_call& call, const engine_s3& s3,
                                                  const engine_place& place);

}  // namespace recoup::cli
