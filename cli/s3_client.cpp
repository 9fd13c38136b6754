#include "s3_client.hpp"

#include <recoup/storage/open_backend.hpp>

#include "session.hpp"

namespace recoup::cli {

std::shared_ptr<s3_client> open_s3_client(const context& call, const s3_endpoint& server,
                                          const std::map<std::string, std::string>& options) {
  auto settings = storage_settings(call, call.options);
  settings.options = options;
  backend_option::check_names(settings.options);
  return recoup::open_s3_client(server, settings);
}

}  // namespace recoup::cli
