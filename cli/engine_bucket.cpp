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
#include "engine_storage.hpp"

namespace recoup::cli {

engine_bucket::engine_bucket(const engine_call& call, const engine_parameters& from)
    : client(open_client(call, read_s3(call, from))), name(from.required_text("bucket")) {
  if (const auto problem = problem_of_bucket_name(name); !problem.empty())
    throw engine_parameter_error("bucket", "bucket: " + problem);
}

engine_parameter_error engine_bucket::missing() const {
  return {"bucket", error_code::not_found,
                                "there is no bucket " + name + " on " + client->endpoint().url()};
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

}  // namespace

void add_bucket_methods(engine_methods& to) {
  to["bucket.get"] = get;
}

}  // namespace recoup::cli
