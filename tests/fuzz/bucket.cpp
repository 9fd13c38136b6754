// What servers and files say is set on a bucket, and keys as names of files.
#include <algorithm>
#include <string>

#include <recoup/ops/sync/file_names.hpp>
#include <recoup/s3/bucket/anonymous_access.hpp>
#include <recoup/s3/bucket/lifecycle_json.hpp>
#include <recoup/s3/bucket/versioning.hpp>
#include <recoup/s3/object_lock.hpp>
#include <recoup/s3/tags.hpp>

#include "fuzz.hpp"

namespace {

using namespace recoup;

/// Behind a prefix, which is dropped, a name may begin as none may on its own (`a:1`).
bool names_are_good(const xml_element& element) {
  return accepts([&] { (void)parse_xml('<' + element.name + "/>", "a name"); }) &&
         std::ranges::all_of(element.children, names_are_good);
}

std::string written(const bucket_lifecycle& lifecycle) {
  xml_writer document("LifecycleConfiguration");
  for (const auto& each : to_xml(lifecycle).children) document.copy(each);
  return document.take();
}

void try_xml(std::string_view text) {
  (void)accepts([&] { (void)parse_versioning(text); });
  (void)accepts([&] { (void)parse_bucket_object_lock(text); });
  (void)accepts([&] { (void)parse_tags(text); });
  bucket_lifecycle found;
  if (!accepts([&] { found = parse_lifecycle(text); }) || !names_are_good(to_xml(found))) return;
  const auto once = written(found);
  require(written(parse_lifecycle(once)) == once, "lifecycle rules come back");
}

void try_json(std::string_view text) {
  bucket_lifecycle rules;
  if (accepts([&] { rules = parse_lifecycle_json(text, "rules"); })) {
    const auto once = to_json(rules);
    require(to_json(parse_lifecycle_json(once, "what was written")) == once, "lifecycle rules come back from JSON");
  }
  bucket_policy policy;
  if (!accepts([&] { policy = parse_policy(text); })) return;
  const auto once = to_json(policy);
  require(to_json(parse_policy(once)) == once, "a policy comes back");
  set_anonymous_access(policy, "b", "p/", anonymous_access::full);
  require(anonymous_access_in(policy, "b").at("p/") == anonymous_access::full, "access that was set is there");
}

void try_key(std::string_view key) {
  for (const bool is_directory_too : {false, true}) {
    const auto names = escaped_path(key, is_directory_too);
    for (const auto& name : names)
      require(!name.empty() && name.size() <= 255 && name != "." && name != ".." &&
                  name.find_first_of(std::string_view("/\0", 2)) == std::string::npos,
              "an escaped name is one");
    require(key_of_escaped_path(names) == key, "a key comes back from its path");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = as_text({data, size});
  if (text.starts_with('<'))
    try_xml(text);
  else if (text.starts_with('{'))
    try_json(text);
  else
    try_key(text);
  return 0;
}
