#include "s3_client.hpp"

#include <chrono>

#include <recoup/s3/settings.hpp>
#include <recoup/storage/open_backend.hpp>

namespace recoup::cli {

http_options http_options_of(const global_options& options) {
  http_options http;
  http.root_certificates = options.root_certificates;
  http.client_certificate = options.client_certificate;
  http.insecure_tls = options.insecure_tls;
  if (!options.user_agent.empty()) http.user_agent = options.user_agent;
  http.upload_limit = std::uint64_t{options.limit_upload} * 1024;
  http.download_limit = std::uint64_t{options.limit_download} * 1024;
  http.stall_timeout = std::chrono::duration_cast<std::chrono::milliseconds>(options.stuck_request_timeout);
  return http;
}

std::shared_ptr<s3_client> open_s3_client(context& call, const s3_endpoint& server,
                                          const std::map<std::string, std::string>& settings) {
  backend_option::check_names(settings);
  s3_environment environment;
  environment.stop = call.signals.token();
  environment.on_warning = [&out = call.out](const std::string& message) { out.error("Warning: " + message); };
  return std::make_shared<s3_client>(server, parse_s3_settings(settings, server), http_options_of(call.options),
                                     std::move(environment));
}

}  // namespace recoup::cli
