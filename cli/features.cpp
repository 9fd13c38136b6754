#include "features.hpp"

#include <algorithm>
#include <map>

#include <recoup/core/error.hpp>
#include <recoup/core/parse_setting.hpp>
#include <recoup/json/go_quote.hpp>

#include "format.hpp"

namespace recoup::cli {

namespace {

constexpr std::string_view hard_links = "device-id-for-hardlinks", request_time = "backend-error-redesign",
                           cold_storage = "s3-restore";

/// Why choosing it has no effect here; empty if it has, or if nothing else was asked for.
std::string why_without_effect(const feature& which, bool on) {
  if (which.state == feature_state::stable) return "is always enabled and will be removed in a future release";
  if (which.name == request_time && !on) return "is always enabled: a request that is stuck is always ended and repeated";
  if (which.name == cold_storage && on) return "has no effect: bringing packs back from an archive class is not supported";
  return {};
}

}  // namespace

const std::vector<feature>& all_features() {
  static const std::vector<feature> all{
      {request_time, feature_state::beta, "end HTTP requests that are stuck, and repeat what failed; always on here."},
      {"deprecate-legacy-index", feature_state::stable, "no support for the index format of restic 0.1.0."},
      {"deprecate-s3-legacy-layout", feature_state::stable,
       "no support for the S3 layout used up to restic 0.7.0. Use restic 0.17.3 to migrate if necessary."},
      {hard_links, feature_state::alpha,
       "store the device ID only for hard links, so that metadata changes less, for example with btrfs subvolumes."},
      {"explicit-s3-anonymous-auth", feature_state::stable,
       "no anonymous S3 requests unless `-o s3.unsafe-anonymous-auth=true` is set"},
      {cold_storage, feature_state::alpha, "restore S3 objects from cold storage classes; not supported here."},
      {"safe-forget-keep-tags", feature_state::stable,
       "no snapshot is removed if the tag of `forget --keep-tags tagname` does not exist"}};
  return all;
}

std::string_view name_of(feature_state state) {
  switch (state) {
    case feature_state::alpha: return "alpha";
    case feature_state::beta: return "beta";
    default: return "stable";
  }
}

feature_choice chosen_features(std::string_view text, const std::function<void(const std::string&)>& on_warning) {
  std::map<std::string, bool> selection;  // a name that comes twice counts as it comes last
  for (const auto& setting : text.empty() ? std::vector<std::string>{} : split(text, ',')) {
    const auto equals = setting.find('=');
    const auto name = setting.substr(0, equals);
    const auto value = equals == std::string::npos ? "true" : setting.substr(equals + 1);
    const auto parsed = parse_bool(value);
    if (!parsed)
      throw error(error_code::invalid_argument, "failed to parse value \"" + go_quoted(value) + "\" for feature flag " +
                                                    name + ": give true or false, in RESTIC_FEATURES");
    selection[name] = *parsed;
  }
  feature_choice choice;
  for (const auto& [name, on] : selection) {
    const auto& all = all_features();
    const auto found = std::find_if(all.begin(), all.end(), [&](const feature& each) { return each.name == name; });
    if (found == all.end())
      throw error(error_code::invalid_argument, "unknown feature flag \"" + go_quoted(name) +
                                                    "\" in RESTIC_FEATURES; `recoup features` lists those there are");
    if (found->name == hard_links) choice.device_id_for_hardlinks = on;
    if (const auto why = why_without_effect(*found, on); !why.empty())
      on_warning("feature flag \"" + name + "\" " + why);
  }
  return choice;
}

}  // namespace recoup::cli
