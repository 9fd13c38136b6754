// A line of requests, as the machine interface reads it before it believes anything.
#include <cstring>
#include <string>
#include <vector>

#include "../../cli/engine_request.hpp"
#include "fuzz.hpp"

namespace {

using namespace recoup;

std::string again(const cli::engine_request& request) {
  json_writer json;
  json.begin_object().field("v", cli::engine_protocol).key("id").raw(request.id).field("method", request.method);
  return json.key("params").raw(simdjson::minify(request.params)).end_object().take();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static cli::engine_request_parser parser;
  static cli::engine_request_parser second;
  // As the engine has it: what lies behind the line is not blank, but the next request.
  std::vector<char> line(size + simdjson::SIMDJSON_PADDING, '"');
  if (size != 0) std::memcpy(line.data(), data, size);
  cli::engine_request request;
  const bool is_good = accepts([&] { parser.parse({line.data(), size}, request); });
  require(!request.id.empty(), "an answer has an id");
  if (is_good) {
    auto text = again(request);
    const auto length = text.size();
    text.append(simdjson::SIMDJSON_PADDING, ' ');
    cli::engine_request back;
    second.parse(std::string_view(text).substr(0, length), back);
    require(back.id == request.id && back.method == request.method, "id and method come back");
    second.wipe();
  }
  parser.wipe();
  return 0;
}
