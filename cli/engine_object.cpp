// The methods object.… of the machine interface: what is in a bucket, for programs that know what it means.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <recoup/core/worker_group.hpp>
#include <recoup/s3/object.hpp>

#include "engine.hpp"
#include "engine_bucket.hpp"
#include "engine_progress.hpp"

namespace recoup::cli {

namespace {

/// An answer is one line, which has to fit into somebody's memory.
constexpr std::uint64_t usual_listing = 100'000, longest_listing = 1'000'000;
constexpr std::uint64_t usual_size = std::uint64_t{16} << 20, greatest_size = std::uint64_t{256} << 20;
constexpr std::uint64_t greatest_answer = std::uint64_t{512} << 20;
constexpr std::size_t most_keys = 1000;

/// Does `work`; a bucket that is not there is the fault of the parameter.
template <class Work>
auto blaming_bucket(const engine_bucket& bucket, Work&& work) {
  try {
    return work();
  } catch (const s3_error& problem) {
    if (problem.refusal().code == "NoSuchBucket") throw bucket.missing();
    throw;
  }
}

/// Thrown by the visitor of a listing that is long enough.
struct limit_reached {};

std::string list(engine_call& call) {
  const engine_parameters params(call.params, "", {"s3", "bucket", "prefix", "delimiter", "limit"});
  list_options options;
  options.prefix = params.text("prefix").value_or("");
  options.delimiter = params.text("delimiter").value_or("");
  const auto limit = params.number("limit", 1, longest_listing).value_or(usual_listing);
  const engine_bucket bucket(call, params);
  json_writer objects;
  objects.begin_array();
  std::vector<std::string> prefixes;
  std::uint64_t count = 0;
  bool is_truncated = false;
  try {
    blaming_bucket(bucket, [&] {
      list_objects(
          *bucket.client, bucket.name, options,
          [&](const listed_object& found) {
            if (count++ == limit) throw limit_reached{};
            objects.begin_object()
                .field("key", found.key)
                .field("size", found.info.size)
                .field("modified", found.info.last_modified)
                .end_object();
          },
          [&](const std::string& prefix) {
            if (count++ == limit) throw limit_reached{};
            prefixes.push_back(prefix);
          });
    });
  } catch (const limit_reached&) {
    is_truncated = true;
  }
  return json_writer{}
      .begin_object()
      .key("objects")
      .raw(objects.end_array().take())
      .strings("prefixes", prefixes)
      .field("truncated", is_truncated)
      .end_object()
      .take();
}

struct found_object {
  bytes content{};
  const char* problem = nullptr;  ///< a word of docs/engine.md, and then there is no content
};

/// "bytes 0-99/1000" -> 1000.
std::optional<std::uint64_t> total_of(const http_response& response, const std::string& where) {
  const auto* range = response.header("content-range");
  const auto slash = range == nullptr ? std::string::npos : range->rfind('/');
  if (slash == std::string::npos || range->substr(slash + 1) == "*") return std::nullopt;
  return s3_object::parse_size(std::string_view(*range).substr(slash + 1), where);
}

found_object read_object(const engine_bucket& bucket, const std::string& key, std::uint64_t limit) {
  found_object found;
  auto request = s3_object::make_request("GET", {bucket.name, key}, "read an object");
  // One byte more than wanted tells that there is more. An object of no bytes has no range: servers answer 416.
  request.headers.push_back({"range", "bytes=0-" + std::to_string(limit)});
  request.content = &found.content;
  std::uint64_t size = 0;
  request.check = [&](const http_response& response) {
    size = response.received;
    if (const auto total = total_of(response, "cannot read an object (" + key + ')'); total) {
      size = *total;
      const auto due = std::min(size, limit + 1);
      if (response.received != due)
        return std::to_string(response.received) + " of " + std::to_string(due) + " bytes arrived";
    }
    return std::string();
  };
  try {
    bucket.client->send(request);
  } catch (const s3_error& problem) {
    if (problem.refusal().status == 416) return {};
    if (problem.code() != error_code::not_found || problem.refusal().code == "NoSuchBucket") throw;
    return {{}, "not_found"};
  }
  if (size > limit) return {{}, "too_large"};
  return found;
}

std::string read(engine_call& call) {
  const engine_parameters params(call.params, "", {"s3", "bucket", "keys", "limit"});
  const auto keys = params.texts("keys");
  if (keys.empty()) throw params.problem("keys", "name at least one object");
  if (keys.size() > most_keys)
    throw params.problem("keys", "at most " + std::to_string(most_keys) + " objects are read at once");
  for (const auto& key : keys)
    if (key.empty()) throw params.problem("keys", "an object's key is not empty");  // it would be the bucket's listing
  const auto limit = params.number("limit", 1, greatest_size).value_or(usual_size);
  const engine_bucket bucket(call, params);
  struct wanted {
    const std::string* key;
    found_object found{};
  };
  std::vector<wanted> all;
  for (const auto& key : keys) all.push_back({&key});
  std::atomic<std::uint64_t> total = 0;
  engine_progress progress(call, keys.size());
  blaming_bucket(bucket, [&] {
    const auto fetch = [&](wanted& each) {
      each.found = read_object(bucket, *each.key, limit);
      if ((total += each.found.content.size()) > greatest_answer)
        throw params.problem("keys", "these objects are larger than an answer may be: read fewer at once");
      progress.add(1);
    };
    parallel_for_each(bucket.client->connections(), all, fetch, call.command.signals.token());
  });
  json_writer json;
  json.begin_object().key("objects").begin_array();
  for (const auto& each : all) {
    json.begin_object().field("key", *each.key).key("content");
    if (each.found.problem == nullptr)
      json.value(byte_view(each.found.content));
    else
      json.null().field("problem", each.found.problem);
    json.end_object();
  }
  return json.end_array().end_object().take();
}

}  // namespace

void add_object_methods(engine_methods& to) {
  to["object.list"] = list;
  to["object.read"] = read;
}

}  // namespace recoup::cli
