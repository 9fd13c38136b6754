// The methods bucket.… of the machine interface: one bucket as it is, as it shall be, and away with it.
#include <optional>
#include <string>
#include <vector>

#include <recoup/ops/remove_bucket.hpp>
#include <recoup/s3/bucket.hpp>
#include <recoup/s3/bucket/lifecycle_json.hpp>
#include <recoup/s3/bucket/list.hpp>
#include <recoup/s3/bucket/policy.hpp>
#include <recoup/s3/bucket/usage.hpp>
#include <recoup/s3/bucket/versioning.hpp>
#include <recoup/s3/object_lock.hpp>
#include <recoup/s3/tags.hpp>

#include "engine.hpp"
#include "engine_bucket.hpp"
#include "engine_progress.hpp"
#include "engine_storage.hpp"

namespace recoup::cli {

engine_bucket::engine_bucket(const engine_call& call, const engine_parameters& from)
    : client(open_client(call, read_s3(call, from))), name(from.required_text("bucket")) {
  if (const auto problem = problem_of_bucket_name(name); !problem.empty())
    throw engine_parameter_error("bucket", "bucket: " + problem);
}

engine_parameter_error engine_bucket::missing() const {
  return {"bucket", error_code::not_found, "there is no bucket " + name + " on " + client->endpoint().url()};
}

namespace {

/// Whoever signs wrongly may see nothing at all; that is no property of the bucket.
[[nodiscard]] bool is_about_credentials(const error& problem) {
  const auto* refused = dynamic_cast<const s3_error*>(&problem);
  if (refused == nullptr) return false;
  const auto& code = refused->refusal().code;
  return code == "SignatureDoesNotMatch" || may_have_newer_credentials(refused->refusal());
}

/// Writes the parts of a bucket one by one. What a server does not have, or a user may not see, must not hide the rest:
/// it is null, and the reason is in `problems`.
class bucket_writer {
public:
  bucket_writer() { problems_.begin_object(), json_.begin_object(); }

  template <class Ask, class Write>
  void part(const char* name, Ask&& ask, Write&& write) {
    json_.key(name);
    try {
      const auto value = ask();
      write(json_, value);
      ++seen_;
    } catch (const error& problem) {
      const bool is_denied = problem.code() == error_code::access_denied;
      if (is_about_credentials(problem) || (!is_denied && problem.code() != error_code::unsupported)) throw;
      if (is_denied && !first_denial_) first_denial_ = std::current_exception();
      json_.null();
      problems_.field(name, problem.what());
    }
  }

  json_writer& json() { return json_; }

  /// Throws if nothing at all could be seen.
  [[nodiscard]] std::string take() {
    if (seen_ == 0 && first_denial_) std::rethrow_exception(first_denial_);
    json_.key("problems").raw(problems_.end_object().take());
    return json_.end_object().take();
  }

private:
  json_writer json_, problems_;
  int seen_ = 0;
  std::exception_ptr first_denial_;
};

[[nodiscard]] const char* engine_name_of(versioning_state state) {
  return state == versioning_state::never ? "off" : name_of(state);
}

void write_lock(json_writer& json, const bucket_object_lock& lock) {
  if (!lock.retention) {
    json.null();
    return;
  }
  json.begin_object()
      .field("mode", name_of(lock.retention->mode))
      .field("days", lock.retention->days)
      .field("years", lock.retention->years)
      .end_object();
}

}  // namespace

std::string describe_bucket(s3_client& client, const std::string& bucket) {
  bucket_writer view;
  view.json().field("exists", true);
  view.part("region", [&] { return get_bucket_region(client, bucket); },
            [](json_writer& json, const std::string& region) { json.value(region); });
  view.part("versioning", [&] { return get_versioning(client, bucket); },
            [](json_writer& json, const bucket_versioning& found) { json.value(engine_name_of(found.state)); });
  std::optional<bool> has_lock;
  view.part("object_lock", [&] { return get_object_lock(client, bucket); },
            [&](json_writer& json, const bucket_object_lock& found) {
              has_lock = found.enabled;
              write_lock(json, found);
            });
  view.json().field("object_lock_enabled", has_lock.value_or(false));
  view.part("lifecycle", [&] { return get_lifecycle(client, bucket); },
            [](json_writer& json, const bucket_lifecycle& found) {
              found.rules.empty() ? json.null() : json.raw(to_json(found));
            });
  view.part("policy", [&] { return get_policy(client, bucket); },
            [](json_writer& json, const std::string& found) { found.empty() ? json.null() : json.value(found); });
  view.part("tags", [&] { return get_bucket_tags(client, bucket); },
            [](json_writer& json, const std::vector<s3_tag>& found) {
              json.begin_object();
              for (const auto& tag : found) json.field(tag.key, tag.value);
              json.end_object();
            });
  return view.take();
}

namespace {

std::string get(engine_call& call) {
  const engine_parameters params(call.params, "", {"s3", "bucket"});
  const engine_bucket bucket(call, params);
  if (!bucket_exists(*bucket.client, bucket.name)) return R"({"exists":false})";
  return describe_bucket(*bucket.client, bucket.name);
}

std::string create(engine_call& call) {
  const engine_parameters params(call.params, "", {"s3", "bucket", "object_lock"});
  const bool wants_lock = params.flag("object_lock");
  const engine_bucket bucket(call, params);
  // One that may not be looked at is tried to be made: whether it is somebody else's is then for the server to say.
  const bool was_there = look_at_bucket(*bucket.client, bucket.name) == bucket_presence::visible;
  if (!was_there) create_bucket(*bucket.client, bucket.name, {wants_lock});
  if (was_there && wants_lock && !get_object_lock(*bucket.client, bucket.name).enabled)
    throw engine_parameter_error(
        "object_lock", error_code::unsupported,
        "object_lock: bucket " + bucket.name +
            " is there already and has no object lock; most servers give one only to a new bucket: choose another name, "
            "and move what is in this one (recoup bucket sync)");
  return json_writer{}.begin_object().field("created", !was_there).end_object().take();
}

[[nodiscard]] engine_parameter_error not_empty(const bucket_removal_plan& plan) {
  const auto& counts = plan.counts;
  auto text = "force: bucket " + plan.bucket + " is not empty: " + std::to_string(counts.objects) + " objects, " +
              std::to_string(counts.old_versions) + " old versions, " + std::to_string(counts.delete_markers) +
              " delete markers, " + std::to_string(counts.uploads) + " incomplete uploads";
  for (const auto& prefix : plan.repositories)
    text += "; there is a restic repository " + (prefix.empty() ? "at its top" : "below " + prefix);
  return {"force", error_code::invalid_argument, text + ". With force all that is removed for good", "not_empty"};
}

/// Says what keeps the bucket, and until when.
[[nodiscard]] error stuck(const bucket_removal& done, const std::string& bucket) {
  const auto& first = done.stuck.front();
  auto why = first.reason;
  if (first.retention)
    why = std::string("locked (") + name_of(first.retention->mode) + ") until " + to_rfc3339(first.retention->until);
  if (first.is_held) why += ", under a legal hold";
  return {error_code::incomplete,
          "bucket " + bucket + " stays: " + std::to_string(done.stuck.size()) + " of " +
              std::to_string(done.removed + done.stuck.size()) +
              " versions in it cannot be removed, the first of them " + first.object.key + ": " + why +
              "; try again then (bypass_governance overrides locks of mode GOVERNANCE for whoever has the right to)"};
}

std::string remove(engine_call& call) {
  const engine_parameters params(call.params, "", {"s3", "bucket", "force", "bypass_governance"});
  const bool force = params.flag("force");
  bucket_removal_options options;
  options.bypass_governance = params.flag("bypass_governance");
  const engine_bucket bucket(call, params);
  const auto answer = [](bool deleted, std::uint64_t objects) {
    return json_writer{}.begin_object().field("deleted", deleted).field("objects", objects).end_object().take();
  };
  if (!bucket_exists(*bucket.client, bucket.name)) return answer(false, 0);
  const auto plan = plan_bucket_removal(*bucket.client, bucket.name);
  if (!plan.is_empty() && !force) throw not_empty(plan);
  const auto total = plan.counts.objects + plan.counts.old_versions + plan.counts.delete_markers;
  engine_progress progress(call, total);
  options.on_progress = [&](std::uint64_t count) { progress.add(count); };
  const auto done = execute_bucket_removal(*bucket.client, plan, options);
  if (!done.bucket_is_gone) throw stuck(done, bucket.name);
  return answer(true, done.removed);
}

std::string usage(engine_call& call) {
  const engine_parameters params(call.params, "", {"s3", "bucket", "prefix"});
  usage_options options;
  options.prefix = params.text("prefix").value_or("");
  const engine_bucket bucket(call, params);
  if (!bucket_exists(*bucket.client, bucket.name)) throw bucket.missing();
  const auto found = count_usage(*bucket.client, bucket.name, options);
  const auto& total = found.total;
  json_writer json;
  json.begin_object().field("objects", total.objects).field("bytes", total.bytes);
  const auto field_if = [&](bool is_known, const char* name, std::uint64_t value) {
    json.key(name);
    is_known ? json.value(value) : json.null();
  };
  field_if(found.versions_are_known, "versions", total.old_versions);
  field_if(found.versions_are_known, "version_bytes", total.old_bytes);
  field_if(found.versions_are_known, "delete_markers", total.delete_markers);
  field_if(found.uploads_are_known, "incomplete_uploads", total.uploads);
  field_if(found.uploads_are_known, "incomplete_upload_bytes", total.upload_bytes);
  return json.end_object().take();
}

}  // namespace

void add_bucket_methods(engine_methods& to) {
  to["bucket.apply"] = apply_to_bucket;
  to["bucket.create"] = create;
  to["bucket.delete"] = remove;
  to["bucket.get"] = get;
  to["bucket.usage"] = usage;
}

}  // namespace recoup::cli
