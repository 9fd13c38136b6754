#include <algorithm>
#include <array>
#include <string_view>

#include "command.hpp"
#include "format.hpp"

namespace recoup::cli {

namespace {

struct option_line {
  std::string_view name, text;
};

/// What storage/open_backend.hpp and s3/settings.hpp take, in alphabetical order.
constexpr std::array<option_line, 15> lines{{
    {"local.connections", "set a limit for the number of concurrent operations (default: 2)"},
    {"s3.bucket-lookup", "bucket lookup style: 'auto', 'dns', or 'path'"},
    {"s3.connections", "set a limit for the number of concurrent connections (default: as many as make it faster)"},
    {"s3.enable-restore", "restore objects from archive classes (not supported: true is an error)"},
    {"s3.layout", "use this backend layout (default: the only one) (deprecated)"},
    {"s3.list-objects-v1", "use deprecated V1 api for ListObjects calls"},
    {"s3.profile", "take the credentials of this profile of ~/.aws"},
    {"s3.region", "set region"},
    {"s3.restore-days", "lifetime in days of restored object (default: 7)"},
    {"s3.restore-tier", "Retrieval tier at which the restore will be processed. (Standard, Bulk or Expedited) (default: "
                        "Standard)"},
    {"s3.restore-timeout", "maximum time to wait for objects transition (default: 24h)"},
    {"s3.retries", "set the number of retries attempted (default: as many as fit into the time for a request)"},
    {"s3.storage-class", "set S3 storage class (STANDARD, STANDARD_IA, ONEZONE_IA, INTELLIGENT_TIERING or "
                         "REDUCED_REDUNDANCY)"},
    {"s3.unsafe-anonymous-auth", "use anonymous authentication"},
    {"s3.unsigned-payload", "let TLS alone guard what is uploaded, which saves a hash of it (default: false)"},
}};

}  // namespace

void add_options_command(command_tree& tree) {
  auto& command = tree.add(tree.root, "options", "[flags]", "Print list of extended options");
  command.details = "Prints the extended options that -o takes, as `recoup -o s3.region=eu-central-1 ...`.\n";
  command.run = [](context& call) {
    call.out.result("All Extended Options:");
    std::size_t width = 0;
    for (const auto& line : lines) width = std::max(width, line.name.size());
    for (const auto& [name, text] : lines)
      call.out.result("  " + std::string(name) + std::string(width - name.size(), ' ') + "  " + std::string(text));
  };
}

}  // namespace recoup::cli
