// bucket.apply of the machine interface: brings a bucket to what is wanted of it, and changes nothing that is so already.
//
//     read and check all parameters     nothing has been changed when one of them is wrong
//     versioning, object lock           the second needs the first
//     lifecycle                         refused if it would destroy backups; taken back if the server does not keep it
//     tags
//     policy                            last, because it may lock out whoever sets it
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include <recoup/s3/bucket.hpp>
#include <recoup/s3/bucket/lifecycle_json.hpp>
#include <recoup/s3/bucket/policy.hpp>
#include <recoup/s3/bucket/policy_comparison.hpp>
#include <recoup/s3/bucket/versioning.hpp>
#include <recoup/s3/object_lock.hpp>
#include <recoup/s3/tags.hpp>

#include "engine_bucket.hpp"
#include "lifecycle_danger.hpp"

namespace recoup::cli {

namespace {

/// What is not given is left alone; of what is given, an empty inner value means: none.
struct wanted_bucket {
  std::optional<versioning_state> versioning{};  ///< never: not enabled
  std::optional<std::optional<default_retention>> lock{};
  std::optional<bucket_lifecycle> lifecycle{};
  bool lifecycle_may_destroy_backups = false;
  std::optional<std::string> policy{};
  std::optional<std::vector<s3_tag>> tags{};
};

versioning_state read_versioning(const engine_parameters& params) {
  const auto text = params.text("versioning").value_or("off");
  if (text == "enabled") return versioning_state::enabled;
  if (text == "suspended") return versioning_state::suspended;
  if (text == "off") return versioning_state::never;
  throw params.problem("versioning", "it must be enabled, suspended or off");
}

std::optional<default_retention> read_lock(const engine_parameters& params) {
  if (params.is_null("object_lock")) return std::nullopt;
  const auto lock = params.part("object_lock", {"mode", "days", "years"});
  constexpr std::uint64_t most_days = 36500;  // S3's own limit
  default_retention wanted;
  const auto mode = parse_retention_mode(lock.required_text("mode"));
  if (!mode) throw lock.problem("mode", "it must be GOVERNANCE or COMPLIANCE");
  wanted.mode = *mode;
  wanted.days = static_cast<unsigned>(lock.number("days", 0, most_days).value_or(0));
  wanted.years = static_cast<unsigned>(lock.number("years", 0, most_days / 365).value_or(0));
  if ((wanted.days == 0) == (wanted.years == 0))
    throw params.problem("object_lock", "give days or years, one of the two");
  return wanted;
}

/// Servers give dates back in the one form; what is compared must be in it too.
std::string normal_date(const std::string& text) {
  auto time = parse_rfc3339(text);
  if (!time) time = parse_rfc3339(text + "T00:00:00Z");
  if (!time) return text;
  return to_rfc3339({time->seconds, time->nanoseconds, 0});
}

bucket_lifecycle with_normal_dates(bucket_lifecycle lifecycle) {
  for (auto& rule : lifecycle.rules) {
    if (!rule.expire_date.empty()) rule.expire_date = normal_date(rule.expire_date);
    for (auto* list : {&rule.transitions, &rule.noncurrent_transitions})
      for (auto& each : *list)
        if (!each.date.empty()) each.date = normal_date(each.date);
  }
  return lifecycle;
}

bucket_lifecycle read_lifecycle(const engine_parameters& params) {
  const auto given = params.object("lifecycle");
  if (!given) return {};
  auto wanted = blaming("lifecycle", [&] { return parse_lifecycle_json(simdjson::minify(*given), "lifecycle"); });
  for (const auto& rule : wanted.rules)
    if (!rule.does_anything())
      throw params.problem("lifecycle", "rule \"" + go_quoted(rule.id) + "\" does nothing: say what it expires or aborts");
  return with_normal_dates(std::move(wanted));
}

std::string read_policy(const engine_parameters& params) {
  const auto given = params.text("policy");
  if (!given) return {};
  blaming("policy", [&] {
    if (parse_policy(*given, "policy").statements.empty())
      throw params.problem("policy", "it has no statements: to have no policy, give null");
  });
  return std::string(*given);
}

std::vector<s3_tag> read_tags(const engine_parameters& params) {
  std::vector<s3_tag> tags;
  const auto given = params.object("tags");
  if (!given) return tags;
  for (const auto [key, value] : *given) {
    std::string_view text;
    if (value.get(text) != simdjson::SUCCESS) throw params.problem("tags", "each tag is a name and a text");
    tags.push_back({std::string(key), std::string(text)});
  }
  std::ranges::sort(tags, {}, &s3_tag::key);
  return tags;
}

wanted_bucket read_wanted(const engine_parameters& params) {
  const auto is_given = [&](const char* name) { return params.has(name) || params.is_null(name); };
  wanted_bucket wanted;
  if (is_given("versioning")) wanted.versioning = read_versioning(params);
  if (is_given("object_lock")) wanted.lock = read_lock(params);
  if (is_given("lifecycle")) wanted.lifecycle = read_lifecycle(params);
  wanted.lifecycle_may_destroy_backups = params.flag("lifecycle_may_destroy_backups");
  if (is_given("policy")) wanted.policy = read_policy(params);
  if (is_given("tags")) wanted.tags = read_tags(params);
  return wanted;
}

class applier {
public:
  applier(s3_client& client, const std::string& bucket) : client_(client), bucket_(bucket) {}

  void run(const wanted_bucket& wanted) {
    if (wanted.versioning) step("versioning", [&] { apply(*wanted.versioning); });
    if (wanted.lock) step("object_lock", [&] { apply(*wanted.lock); });
    if (wanted.lifecycle)
      step("lifecycle", [&] { apply(*wanted.lifecycle, wanted.lifecycle_may_destroy_backups); });
    if (wanted.tags) step("tags", [&] { apply(*wanted.tags); });
    if (wanted.policy) step("policy", [&] { apply(*wanted.policy); });
  }

private:
  /// What the server refuses is the fault of this parameter, unless it is that of whoever signs.
  template <class Work>
  void step(const char* attribute, Work&& work) {
    try {
      work();
    } catch (const s3_error& problem) {
      const auto& code = problem.refusal().code;
      if (code == "SignatureDoesNotMatch" || may_have_newer_credentials(problem.refusal())) throw;
      const bool is_wrong = problem.refusal().status == 400;
      throw engine_parameter_error(attribute, is_wrong ? error_code::invalid_argument : problem.code(),
                                   std::string(attribute) + ": " + problem.what());
    }
  }

  [[nodiscard]] static engine_parameter_error refuse(const char* attribute, const std::string& why) {
    return {attribute, error_code::unsupported, std::string(attribute) + ": " + why};
  }

  void apply(versioning_state wanted) {
    const auto found = get_versioning(client_, bucket_).state;
    if (found == wanted) return;
    if (wanted == versioning_state::enabled) return set_versioning(client_, bucket_, wanted);
    if (found == versioning_state::suspended) return;  // as near to off as a bucket comes again
    if (found == versioning_state::never && wanted == versioning_state::never) return;
    if (found == versioning_state::enabled && get_object_lock(client_, bucket_).enabled)
      throw refuse("versioning", "bucket " + bucket_ + " has object lock, which needs versioning: leave it enabled, or "
                                                       "make another bucket without object lock");
    set_versioning(client_, bucket_, versioning_state::suspended);
  }

  void apply(const std::optional<default_retention>& wanted) {
    const auto found = get_object_lock(client_, bucket_);
    if (found.retention == wanted) return;
    if (!found.enabled)
      throw refuse("object_lock",
                   "bucket " + bucket_ + " was made without object lock, and most servers give one only to a new "
                   "bucket: make another one with object_lock, and move what is in this one (recoup bucket sync)");
    put_object_lock(client_, bucket_, wanted);
  }

  void apply(const bucket_lifecycle& wanted, bool may_destroy_backups) {
    const auto before = get_lifecycle(client_, bucket_);
    if (is_same(wanted, before)) return;
    if (!may_destroy_backups) check_dangers(wanted);
    auto stored = wanted;
    stored.default_minimum_size = before.default_minimum_size;
    blaming("lifecycle", [&] { put_lifecycle(client_, bucket_, stored); });
    const auto lost = parts_not_kept(wanted, with_normal_dates(get_lifecycle(client_, bucket_)));
    if (lost.empty()) return;
    put_lifecycle(client_, bucket_, before);
    std::string list;
    for (const auto& each : lost) list += (list.empty() ? "" : ", ") + each;
    throw refuse("lifecycle", "the server takes the rules but does not keep all of them, so they are as they were; leave "
                              "out what it has no use for: " + list);
  }

  /// Ids that the server made up are no difference.
  [[nodiscard]] static bool is_same(bucket_lifecycle wanted, const bucket_lifecycle& stored) {
    if (wanted.rules.size() != stored.rules.size()) return false;
    for (std::size_t at = 0; at < wanted.rules.size(); ++at)
      if (wanted.rules[at].id.empty()) wanted.rules[at].id = stored.rules[at].id;
    const auto found = with_normal_dates(stored);
    return parts_not_kept(wanted, found).empty() && parts_not_kept(found, wanted).empty();
  }

  void check_dangers(const bucket_lifecycle& wanted) {
    const auto dangers = find_dangers(client_, bucket_, wanted);
    if (dangers.found.empty()) return;
    std::string list;
    for (const auto& each : dangers.found) list += (list.empty() ? "" : "; ") + each;
    throw engine_parameter_error(
        "lifecycle", "lifecycle: " + list + ". The rules are not set; old snapshots are removed with `recoup forget`, "
                     "and rules for old versions (NoncurrentVersionExpiration) harm none");
  }

  void apply(std::vector<s3_tag> wanted) {
    auto found = get_bucket_tags(client_, bucket_);
    std::ranges::sort(found, {}, &s3_tag::key);
    if (found != wanted) put_bucket_tags(client_, bucket_, wanted);
  }

  void apply(const std::string& wanted) {
    const auto found = get_policy(client_, bucket_);
    if (wanted.empty()) {
      if (!found.empty()) delete_policy(client_, bucket_);
    } else if (found.empty() || canonical_policy(found) != canonical_policy(wanted)) {
      put_policy(client_, bucket_, to_json(parse_policy(wanted)));  // MinIO takes no single statement without its list
    }
  }

  s3_client& client_;
  const std::string& bucket_;
};

}  // namespace

std::string apply_to_bucket(engine_call& call) {
  const engine_parameters params(call.params, "",
                                 {"s3", "bucket", "versioning", "object_lock", "lifecycle",
                                  "lifecycle_may_destroy_backups", "policy", "tags"});
  const auto wanted = read_wanted(params);
  const engine_bucket bucket(call, params);
  if (!bucket_exists(*bucket.client, bucket.name)) throw bucket.missing();
  applier(*bucket.client, bucket.name).run(wanted);
  return describe_bucket(*bucket.client, bucket.name);
}

}  // namespace recoup::cli
