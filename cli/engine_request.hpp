// A request of the machine interface, as it stands in its line (docs/engine.md). Nobody vouches for the line.
#pragma once

#include <simdjson.h>
#include <sodium.h>

#include <cstddef>
#include <string>
#include <string_view>

#include <recoup/core/error.hpp>
#include <recoup/json/go_quote.hpp>
#include <recoup/json/json_writer.hpp>

namespace recoup::cli {

/// Requests and answers say which protocol they are of.
inline constexpr unsigned engine_protocol = 1;

/// No policy, list of rules or list of times is longer; a line that goes on for ever must not eat the memory.
inline constexpr std::size_t longest_engine_request = std::size_t{4} << 20;

struct engine_request {
  std::string id = "null";  ///< as JSON, for the answer; null as long as none has been read
  std::string method{};
  simdjson::dom::object params{};  ///< empty if there are none; good until the parser is used again
};

/// Keeps its memory from one request to the next, and no secret in it: wipe() after each request.
class engine_request_parser {
public:
  engine_request_parser() { nothing_ = empty_.parse(std::string_view("{}")).get_object(); }
  engine_request_parser(const engine_request_parser&) = delete;
  engine_request_parser& operator=(const engine_request_parser&) = delete;
  ~engine_request_parser() { wipe(); }

  /// `line` must be followed by simdjson::SIMDJSON_PADDING bytes that may be read. `into` has the id also if this throws
  /// for what comes after it. Throws invalid_argument, and unsupported for another protocol.
  void parse(std::string_view line, engine_request& into) {
    into = {"null", {}, nothing_};
    simdjson::dom::element root;
    if (const auto problem = parser_.parse(line.data(), line.size(), false).get(root); problem != simdjson::SUCCESS)
      throw refusal(std::string("the line is not valid JSON: ") + simdjson::error_message(problem));
    simdjson::dom::object object;
    if (root.get(object) != simdjson::SUCCESS) throw refusal("a request is a JSON object");
    read_id(object, into);
    bool has_protocol = false;
    for (const auto [key, value] : object) {
      if (key == "id") continue;
      if (key == "v") {
        check_protocol(value);
        has_protocol = true;
      } else if (key == "method") {
        std::string_view name;
        if (value.get(name) != simdjson::SUCCESS) throw refusal("\"method\" must be a text");
        into.method = name;
      } else if (key == "params") {
        if (!value.is_null() && value.get(into.params) != simdjson::SUCCESS)
          throw refusal("\"params\" must be an object");
      } else {
        throw refusal("\"" + go_quoted(key) + "\" is no part of a request: there are v, id, method and params");
      }
    }
    if (!has_protocol) throw refusal("\"v\" is missing, the version of the protocol: 1");
    if (into.method.empty()) throw refusal("\"method\" is missing");
  }

  /// Overwrites the texts of the last request. simdjson keeps them, each with five bytes more, in room for five thirds of
  /// what it was given: as much as texts of no length would take.
  void wipe() noexcept {
    if (parser_.doc.string_buf) ::sodium_memzero(parser_.doc.string_buf.get(), 5 * parser_.doc.capacity() / 3);
  }

private:
  [[nodiscard]] static error refusal(const std::string& why) { return {error_code::invalid_argument, why}; }

  static void read_id(const simdjson::dom::object& object, engine_request& into) {
    // Texts are echoed byte for byte, so that whoever asked finds them.
    int ids = 0;
    std::string_view text;
    for (const auto [key, value] : object) {
      if (key != "id") continue;
      if (++ids > 1 || value.get(text) != simdjson::SUCCESS) throw refusal("\"id\" must be one text");
    }
    if (ids == 0) throw refusal("\"id\" is missing, the text by which the answer is known");
    into.id.clear();
    append_json_string(into.id, text);
  }

  static void check_protocol(const simdjson::dom::element& value) {
    std::uint64_t version = 0;
    if (value.get(version) != simdjson::SUCCESS) throw refusal("\"v\" must be a number, the version of the protocol");
    if (version != engine_protocol)
      throw error(error_code::unsupported, "version " + std::to_string(version) +
                                               " of the protocol is not known, this engine speaks version 1: use a "
                                               "program and an engine that belong together");
  }

  simdjson::dom::parser parser_, empty_;
  simdjson::dom::object nothing_;
};

}  // namespace recoup::cli
