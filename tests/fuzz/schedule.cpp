// A schedule's definition: what is taken comes back after being written, and if it makes sense, its units can be made.
#include <recoup/schedule/schedule_files.hpp>

#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace recoup;
  schedule_definition definition;
  if (!accepts([&] { definition = parse_schedule(as_text({data, size})); })) return 0;
  require(parse_schedule(schedule_json_text(definition)) == definition, "a definition comes back");
  require(parse_schedule(render_schedule(definition)) == definition, "an indented one too");
  (void)accepts([&] {
    const auto files = render_schedule_files(definition, nullptr);
    require(files.size() == 3, "a definition and two units");
    for (const auto& file : files)
      for (const char c : file.content)
        require(c == '\n' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f), "no control characters in files");
  });
  return 0;
}
