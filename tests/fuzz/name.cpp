// The two encodings of a node's name, in both directions: the input is once a raw name, once a quoted one.
#include <recoup/repo/tree.hpp>

#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace recoup;
  const auto text = as_text({data, size});

  const auto quoted = go_quoted(text);
  require(is_valid_utf8(quoted), "a quoted name is UTF-8");
  require(go_unquote(quoted) == text, "a raw name comes back");
  std::string json, in_two_steps;
  append_json_name(json, text);
  append_json_string(in_two_steps, quoted);
  require(json == in_two_steps, "one pass and two give the same");
  const auto nodes = decode_tree(as_bytes("{\"nodes\":[{\"name\":" + json + "}]}"));
  require(nodes.size() == 1 && nodes[0].name == text, "a name in a tree comes back");

  if (const auto raw = go_unquote(text)) require(go_unquote(go_quoted(*raw)) == raw, "an unquoted name comes back");
  return 0;
}
