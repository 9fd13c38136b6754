// Environment files: what is read comes back after being written.
#include <recoup/schedule/environment_file.hpp>

#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace recoup;
  std::vector<environment_setting> settings;
  if (!accepts([&] { settings = parse_environment_file(as_text({data, size}), "input"); })) return 0;
  require(parse_environment_file(render_environment_file(settings), "written") == settings, "settings come back");
  return 0;
}
