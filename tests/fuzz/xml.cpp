// parse_xml.
#include <recoup/s3/xml.hpp>

#include "fuzz.hpp"

namespace {

void write(recoup::xml_writer& to, const recoup::xml_element& element) {
  for (const auto& child : element.children) {
    if (child.children.empty()) {
      to.element(child.name, child.text);
    } else {
      to.begin(child.name);
      write(to, child);
      to.end();
    }
  }
}

/// Behind a prefix, which is dropped, a name may begin as none may on its own (`a:1`), or not at all (`a:`).
bool names_are_good(const recoup::xml_element& element) {
  if (!accepts([&] { (void)recoup::parse_xml('<' + element.name + "/>", "a name"); })) return false;
  return std::ranges::all_of(element.children, names_are_good);
}

/// The writer has no text beside children.
void drop_mixed_text(recoup::xml_element& element) {
  if (!element.children.empty()) element.text.clear();
  for (auto& child : element.children) drop_mixed_text(child);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace recoup;
  xml_element read;
  if (!accepts([&] { read = parse_xml(as_text({data, size}), "the document"); })) return 0;
  if (!names_are_good(read)) return 0;
  drop_mixed_text(read);
  if (read.children.empty()) read.text.clear();  // nor any in the outermost element
  xml_writer writer(read.name, "");
  write(writer, read);
  require(parse_xml(writer.take(), "what was written", read.name) == read, "a document comes back");
  return 0;
}
