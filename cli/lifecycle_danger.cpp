#include "lifecycle_danger.hpp"

#include <algorithm>

#include <recoup/ops/bucket_repositories.hpp>

namespace recoup::cli {

lifecycle_dangers find_dangers(s3_client& client, const std::string& bucket, const bucket_lifecycle& wanted) {
  lifecycle_dangers dangers;
  const bool has_any = std::ranges::any_of(wanted.rules, [](const lifecycle_rule& rule) {
    return rule.is_enabled && (rule.expires_current_objects() || !rule.transitions.empty());
  });
  if (!has_any) return dangers;
  const auto repositories = find_repositories(client, bucket);
  dangers.looked_everywhere = repositories.is_complete;
  for (const auto& prefix : repositories.prefixes) {
    for (const auto& rule : wanted.rules) {
      const auto danger = danger_of(rule, prefix);
      if (danger == lifecycle_danger::none) continue;
      dangers.found.push_back(
          "rule \"" + rule.id + "\" " +
          (danger == lifecycle_danger::expires ? "REMOVES THE FILES of" : "moves the files out of reach of") +
          " the restic repository at " + recoup::describe(client.endpoint(), bucket, prefix) +
          ": its backups could not be restored any more, whatever their age");
    }
  }
  return dangers;
}

}  // namespace recoup::cli
