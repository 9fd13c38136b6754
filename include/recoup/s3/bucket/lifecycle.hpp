// Rules by which the server itself removes objects, old versions and forgotten uploads, or moves them to another
// storage class.
//
// Other programs write rules too, with elements that this one has no use for. Those are kept with the rule they belong
// to, as they were read, and written back.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/s3/bucket/setting.hpp>
#include <recoup/s3/object.hpp>
#include <recoup/s3/tags.hpp>
#include <recoup/s3/xml.hpp>

namespace recoup {

/// Which objects a rule is for: those that meet all of it.
struct lifecycle_filter {
  std::string prefix{};
  std::vector<s3_tag> tags{};
  std::optional<std::uint64_t> larger_than{}, smaller_than{};  ///< bytes, both exclusive
  std::vector<xml_element> others{};

  [[nodiscard]] friend bool operator==(const lifecycle_filter&, const lifecycle_filter&) = default;
};

/// After so many days, or from a date on.
struct lifecycle_transition {
  std::optional<unsigned> days{};
  std::string date{};                        ///< RFC 3339
  std::optional<unsigned> newer_versions{};  ///< for old versions: so many newer ones stay where they are
  std::string storage_class{};
  std::vector<xml_element> others{};

  [[nodiscard]] friend bool operator==(const lifecycle_transition&, const lifecycle_transition&) = default;
};

struct lifecycle_rule {
  std::string id{};
  bool is_enabled = true;
  lifecycle_filter filter{};

  std::optional<unsigned> expire_days{};  ///< removes current objects so many days after they were made
  std::string expire_date{};              ///< removes all current objects from this day on, RFC 3339
  bool remove_lone_delete_markers = false;
  std::vector<xml_element> expiration_others{};

  std::optional<unsigned> noncurrent_days{};  ///< removes old versions so many days after they became old
  std::optional<unsigned> noncurrent_keep{};  ///< but for the newest ones of each object
  std::vector<xml_element> noncurrent_others{};

  std::optional<unsigned> abort_upload_days{};  ///< aborts uploads in parts so many days after they were begun

  std::vector<lifecycle_transition> transitions{}, noncurrent_transitions{};
  std::vector<xml_element> others{};

  [[nodiscard]] bool expires_current_objects() const noexcept { return expire_days || !expire_date.empty(); }
  [[nodiscard]] bool does_anything() const noexcept {
    return expires_current_objects() || remove_lone_delete_markers || !expiration_others.empty() || noncurrent_days ||
           noncurrent_keep || !noncurrent_others.empty() || abort_upload_days || !transitions.empty() ||
           !noncurrent_transitions.empty() || !others.empty();
  }

  [[nodiscard]] friend bool operator==(const lifecycle_rule&, const lifecycle_rule&) = default;
};

struct bucket_lifecycle {
  std::vector<lifecycle_rule> rules{};
  std::vector<xml_element> others{};
  /// AWS's x-amz-transition-default-minimum-object-size, which is no part of the document but is set along with it.
  std::string default_minimum_size{};

  [[nodiscard]] friend bool operator==(const bucket_lifecycle&, const bucket_lifecycle&) = default;
};

namespace lifecycle_xml {

[[nodiscard]] inline std::uint64_t read_number(const xml_element& element) {
  return s3_object::parse_size(element.text, "cannot read the lifecycle rules of a bucket: <" + element.name + ">");
}

[[nodiscard]] inline unsigned read_days(const xml_element& element) {
  const auto number = read_number(element);
  if (number > 2'147'483'647)
    throw error(error_code::io, "a lifecycle rule has " + element.text + " days in <" + element.name + ">");
  return static_cast<unsigned>(number);
}

[[nodiscard]] inline bool is_plain_tag(const xml_element& element) {
  return element.name == "Tag" && element.children.size() == 2 && element.child("Key") != nullptr &&
         element.child("Value") != nullptr;
}

inline void read_condition(const xml_element& element, lifecycle_filter& to) {
  if (element.name == "Prefix")
    to.prefix = element.text;
  else if (is_plain_tag(element))
    to.tags.push_back({std::string(element.text_of("Key")), std::string(element.text_of("Value"))});
  else if (element.name == "ObjectSizeGreaterThan")
    to.larger_than = read_number(element);
  else if (element.name == "ObjectSizeLessThan")
    to.smaller_than = read_number(element);
  else
    to.others.push_back(element);
}

inline void read_filter(const xml_element& element, lifecycle_filter& to) {
  for (const auto& each : element.children) {
    if (each.name != "And") {
      read_condition(each, to);
      continue;
    }
    for (const auto& condition : each.children) read_condition(condition, to);
  }
}

[[nodiscard]] inline lifecycle_transition read_transition(const xml_element& element) {
  lifecycle_transition found;
  for (const auto& each : element.children) {
    if (each.name == "Days" || each.name == "NoncurrentDays")
      found.days = read_days(each);
    else if (each.name == "Date")
      found.date = each.text;
    else if (each.name == "NewerNoncurrentVersions")
      found.newer_versions = read_days(each);
    else if (each.name == "StorageClass")
      found.storage_class = each.text;
    else
      found.others.push_back(each);
  }
  return found;
}

inline void read_expiration(const xml_element& element, lifecycle_rule& to) {
  for (const auto& each : element.children) {
    if (each.name == "Days")
      to.expire_days = read_days(each);
    else if (each.name == "Date")
      to.expire_date = each.text;
    else if (each.name == "ExpiredObjectDeleteMarker")
      to.remove_lone_delete_markers = each.text == "true";
    else
      to.expiration_others.push_back(each);
  }
}

inline void read_noncurrent(const xml_element& element, lifecycle_rule& to) {
  for (const auto& each : element.children) {
    if (each.name == "NoncurrentDays")
      to.noncurrent_days = read_days(each);
    else if (each.name == "NewerNoncurrentVersions")
      to.noncurrent_keep = read_days(each);
    else
      to.noncurrent_others.push_back(each);
  }
}

[[nodiscard]] inline bool is_plain_abort(const xml_element& element) {
  return element.children.size() == 1 && element.children.front().name == "DaysAfterInitiation";
}

[[nodiscard]] inline lifecycle_rule read_rule(const xml_element& element) {
  lifecycle_rule rule;
  for (const auto& each : element.children) {
    if (each.name == "ID")
      rule.id = each.text;
    else if (each.name == "Status")
      rule.is_enabled = each.text == "Enabled";
    else if (each.name == "Prefix")  // the old place of the filter
      rule.filter.prefix = each.text;
    else if (each.name == "Filter")
      read_filter(each, rule.filter);
    else if (each.name == "Expiration")
      read_expiration(each, rule);
    else if (each.name == "NoncurrentVersionExpiration")
      read_noncurrent(each, rule);
    else if (each.name == "AbortIncompleteMultipartUpload" && is_plain_abort(each))
      rule.abort_upload_days = read_days(each.children.front());
    else if (each.name == "Transition")
      rule.transitions.push_back(read_transition(each));
    else if (each.name == "NoncurrentVersionTransition")
      rule.noncurrent_transitions.push_back(read_transition(each));
    else
      rule.others.push_back(each);
  }
  return rule;
}

[[nodiscard]] inline xml_element leaf(std::string name, std::string text) {
  return {std::move(name), std::move(text), {}};
}
[[nodiscard]] inline xml_element leaf(std::string name, std::uint64_t number) {
  return {std::move(name), std::to_string(number), {}};
}

inline void append(xml_element& to, const std::vector<xml_element>& more) {
  to.children.insert(to.children.end(), more.begin(), more.end());
}

[[nodiscard]] inline xml_element write_filter(const lifecycle_filter& filter) {
  xml_element conditions{"And", {}, {}};
  auto& list = conditions.children;
  if (!filter.prefix.empty()) list.push_back(leaf("Prefix", filter.prefix));
  for (const auto& tag : filter.tags) list.push_back({"Tag", {}, {leaf("Key", tag.key), leaf("Value", tag.value)}});
  if (filter.larger_than) list.push_back(leaf("ObjectSizeGreaterThan", *filter.larger_than));
  if (filter.smaller_than) list.push_back(leaf("ObjectSizeLessThan", *filter.smaller_than));
  append(conditions, filter.others);
  if (list.empty()) list.push_back(leaf("Prefix", std::string()));
  if (list.size() == 1) return {"Filter", {}, std::move(list)};
  return {"Filter", {}, {std::move(conditions)}};
}

[[nodiscard]] inline xml_element write_transition(const lifecycle_transition& from, bool noncurrent) {
  xml_element element{noncurrent ? "NoncurrentVersionTransition" : "Transition", {}, {}};
  if (from.days) element.children.push_back(leaf(noncurrent ? "NoncurrentDays" : "Days", std::uint64_t{*from.days}));
  if (!from.date.empty()) element.children.push_back(leaf("Date", from.date));
  if (from.newer_versions)
    element.children.push_back(leaf("NewerNoncurrentVersions", std::uint64_t{*from.newer_versions}));
  if (!from.storage_class.empty()) element.children.push_back(leaf("StorageClass", from.storage_class));
  append(element, from.others);
  return element;
}

[[nodiscard]] inline xml_element write_rule(const lifecycle_rule& rule) {
  xml_element element{"Rule", {}, {}};
  auto& list = element.children;
  if (!rule.id.empty()) list.push_back(leaf("ID", rule.id));
  list.push_back(leaf("Status", std::string(rule.is_enabled ? "Enabled" : "Disabled")));
  list.push_back(write_filter(rule.filter));
  xml_element expiration{"Expiration", {}, {}};
  if (rule.expire_days) expiration.children.push_back(leaf("Days", std::uint64_t{*rule.expire_days}));
  if (!rule.expire_date.empty()) expiration.children.push_back(leaf("Date", rule.expire_date));
  if (rule.remove_lone_delete_markers)
    expiration.children.push_back(leaf("ExpiredObjectDeleteMarker", std::string("true")));
  append(expiration, rule.expiration_others);
  if (!expiration.children.empty()) list.push_back(std::move(expiration));
  xml_element noncurrent{"NoncurrentVersionExpiration", {}, {}};
  if (rule.noncurrent_days) noncurrent.children.push_back(leaf("NoncurrentDays", std::uint64_t{*rule.noncurrent_days}));
  if (rule.noncurrent_keep)
    noncurrent.children.push_back(leaf("NewerNoncurrentVersions", std::uint64_t{*rule.noncurrent_keep}));
  append(noncurrent, rule.noncurrent_others);
  if (!noncurrent.children.empty()) list.push_back(std::move(noncurrent));
  if (rule.abort_upload_days)
    list.push_back(
        {"AbortIncompleteMultipartUpload", {}, {leaf("DaysAfterInitiation", std::uint64_t{*rule.abort_upload_days})}});
  for (const auto& each : rule.transitions) list.push_back(write_transition(each, false));
  for (const auto& each : rule.noncurrent_transitions) list.push_back(write_transition(each, true));
  append(element, rule.others);
  return element;
}

}  // namespace lifecycle_xml

[[nodiscard]] inline bucket_lifecycle lifecycle_from(const xml_element& root) {
  bucket_lifecycle found;
  for (const auto& each : root.children) {
    if (each.name == "Rule")
      found.rules.push_back(lifecycle_xml::read_rule(each));
    else if (each.name != "ExpiryUpdatedAt")  // MinIO's note of when the rules were changed, which it writes itself
      found.others.push_back(each);
  }
  return found;
}

[[nodiscard]] inline xml_element to_xml(const bucket_lifecycle& lifecycle) {
  xml_element root{"LifecycleConfiguration", {}, {}};
  for (const auto& rule : lifecycle.rules) root.children.push_back(lifecycle_xml::write_rule(rule));
  lifecycle_xml::append(root, lifecycle.others);
  return root;
}

[[nodiscard]] inline bucket_lifecycle parse_lifecycle(std::string_view document) {
  return lifecycle_from(parse_xml(document, "the lifecycle rules of a bucket", "LifecycleConfiguration"));
}

/// No rules if none are set.
[[nodiscard]] inline bucket_lifecycle get_lifecycle(s3_client& client, const std::string& bucket) {
  const auto answer = bucket_setting(client, bucket, "lifecycle", "the lifecycle rules").get();
  if (!answer) return {};
  auto found = parse_lifecycle(answer->body);
  if (const auto* size = answer->header("x-amz-transition-default-minimum-object-size"))
    found.default_minimum_size = *size;
  return found;
}

inline void delete_lifecycle(s3_client& client, const std::string& bucket) {
  bucket_setting(client, bucket, "lifecycle", "the lifecycle rules").remove();
}

/// Replaces all rules. Throws invalid_argument for a rule that would do nothing, or two of the same id.
inline void put_lifecycle(s3_client& client, const std::string& bucket, const bucket_lifecycle& lifecycle) {
  for (const auto& rule : lifecycle.rules) {
    const auto named = "lifecycle rule" + (rule.id.empty() ? std::string() : " \"" + go_quoted(rule.id) + '"');
    if (!rule.does_anything())
      throw error(error_code::invalid_argument, named + " does nothing: say what it expires or aborts");
    if (!rule.id.empty() && std::ranges::count(lifecycle.rules, rule.id, &lifecycle_rule::id) > 1)
      throw error(error_code::invalid_argument, named + " is there twice");
  }
  if (lifecycle.rules.empty()) return delete_lifecycle(client, bucket);
  xml_writer document("LifecycleConfiguration");
  for (const auto& each : to_xml(lifecycle).children) document.copy(each);
  std::vector<http_header> headers;
  if (!lifecycle.default_minimum_size.empty())
    headers.push_back({"x-amz-transition-default-minimum-object-size", lifecycle.default_minimum_size});
  bucket_setting(client, bucket, "lifecycle", "the lifecycle rules").put(document.take(), std::move(headers));
}

/// Puts a rule beside those that there are, or in the place of the one with its id.
inline void set_rule(bucket_lifecycle& lifecycle, lifecycle_rule rule) {
  const auto same =
      rule.id.empty() ? lifecycle.rules.end() : std::ranges::find(lifecycle.rules, rule.id, &lifecycle_rule::id);
  if (same != lifecycle.rules.end())
    *same = std::move(rule);
  else
    lifecycle.rules.push_back(std::move(rule));
}

/// What of the rules that were set is not in those that the server gives back: MinIO, for one, takes a rule that aborts
/// uploads and forgets that part of it. "rule \"old\": AbortIncompleteMultipartUpload"
[[nodiscard]] inline std::vector<std::string> parts_not_kept(const bucket_lifecycle& wanted,
                                                             const bucket_lifecycle& stored) {
  std::vector<std::string> lost;
  for (std::size_t at = 0; at < wanted.rules.size(); ++at) {
    const auto& rule = wanted.rules[at];
    auto same = rule.id.empty() ? stored.rules.end() : std::ranges::find(stored.rules, rule.id, &lifecycle_rule::id);
    if (same == stored.rules.end() && at < stored.rules.size())
      same = stored.rules.begin() + static_cast<std::ptrdiff_t>(at);
    const auto name = "rule " + (rule.id.empty() ? std::to_string(at + 1) : '"' + go_quoted(rule.id) + '"');
    if (same == stored.rules.end()) {
      lost.push_back(name);
      continue;
    }
    const auto kept = lifecycle_xml::write_rule(*same);
    for (const auto& part : lifecycle_xml::write_rule(rule).children)
      if (std::ranges::find(kept.children, part) == kept.children.end()) lost.push_back(name + ": " + part.name);
  }
  return lost;
}

}  // namespace recoup
