// decode_tree, and the check before a tree is rewritten.
#include <recoup/repo/tree.hpp>

#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace recoup;
  std::vector<node> nodes;
  if (!accepts([&] { nodes = decode_tree(byte_view(data, size)); })) return 0;
  (void)encodes_the_same(byte_view(data, size));
  if (!names_ascend(nodes) || (!nodes.empty() && nodes.front().name.empty())) return 0;

  tree_writer writer;
  for (const auto& entry : nodes) {
    (void)is_safe_name(entry.name);
    writer.add(entry);
  }
  const auto json = writer.finish();
  require(decode_tree(json) == nodes, "a tree comes back");
  require(encodes_the_same(json), "what we wrote we write again");
  return 0;
}
