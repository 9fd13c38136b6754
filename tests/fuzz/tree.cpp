// decode_tree, of the whole and of its parts, and the check before a tree is rewritten.
#include <recoup/repo/tree.hpp>
#include <recoup/repo/tree_parts.hpp>

#include "fuzz.hpp"

namespace {

/// The nodes of the parts into which a text is cut that comes in two pieces.
std::vector<recoup::node> from_parts(recoup::byte_view text, std::size_t usual, std::size_t first_piece) {
  std::vector<recoup::node> nodes;
  const auto decode = [&](const std::string& part) {
    recoup::decode_tree(recoup::as_bytes(part), [&](recoup::node& each) { nodes.push_back(std::move(each)); });
  };
  recoup::tree_parts parts(usual);
  for (const auto piece : {text.first(first_piece), text.subspan(first_piece)}) {
    parts.add(piece);
    while (const auto part = parts.next()) decode(*part);
  }
  decode(parts.rest());
  return nodes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace recoup;
  std::vector<node> nodes;
  const byte_view text(data, size);
  const bool is_tree = accepts([&] { nodes = decode_tree(text); });
  std::vector<node> joined;
  const auto usual = size == 0 ? 0 : data[size / 2] * std::size_t{8};
  require(accepts([&] { joined = from_parts(text, usual, size / 3); }) == is_tree, "the parts are a tree if the whole is");
  if (!is_tree) return 0;
  require(joined == nodes, "the parts have the nodes of the whole");
  (void)encodes_the_same(text);
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
