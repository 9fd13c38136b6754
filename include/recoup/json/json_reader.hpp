// Reading JSON that nobody vouches for: a thin layer on simdjson (On-Demand) that says which field is wrong.
//
//   read_json(text, "snapshot 1a2b3c4d", [&](json_object root) {
//     for_each_field(root, [&](std::string_view key, json_value& value) {
//       if (key == "hostname") read(value, host);      // other keys are passed over
//     });
//   });
//
// As Go's encoding/json, null leaves a variable as it was, of equal keys the last one counts, and integers are exact up
// to 2^64-1. Unlike Go, keys match in their exact case only, and text that is not UTF-8 is an error rather than being
// patched with U+FFFD: everything that writes repositories writes UTF-8.
//
// Nothing here recurses, so nesting costs a hostile file nothing but its own length.
#pragma once

#include <simdjson.h>
#include <sodium.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/core/id.hpp>
#include <recoup/core/read_hex.hpp>
#include <recoup/core/time.hpp>

namespace recoup {

using json_value = simdjson::ondemand::value;
using json_object = simdjson::ondemand::object;
using json_array = simdjson::ondemand::array;

/// What is wrong with a piece of JSON and where; `read_json` turns it into recoup::error(damaged).
class json_error : public std::exception {
public:
  explicit json_error(std::string reason) : reason_(std::move(reason)) {}

  [[nodiscard]] const char* what() const noexcept override { return reason_.c_str(); }

  /// Called on the way out of nested objects and arrays, innermost first.
  void within(std::string_view step) {
    if (!path_.empty() && path_.front() != '[') path_.insert(0, 1, '.');
    path_.insert(0, step);
  }
  [[nodiscard]] std::string message() const { return path_.empty() ? reason_ : "field " + path_ + ": " + reason_; }

private:
  std::string path_, reason_;
};

/// A parser and its padded copy of the text, lent from a thread's own store and given back at the end: trees come by
/// the hundred thousand, and allocating anew for each costs more than reading it. Several can be out at once, because
/// what a visitor does with one tree may be to read another.
class json_document {
public:
  /// The copy of a `secret` text is wiped in the end.
  explicit json_document(byte_view text, bool secret = false) : tools_(borrow(text.size())), secret_(secret) {
    if (!text.empty()) std::memcpy(tools_->text.data(), text.data(), text.size());
    std::memset(tools_->text.data() + text.size(), ' ', simdjson::SIMDJSON_PADDING);
    document_ =
        tools_->parser.iterate(reinterpret_cast<const char*>(tools_->text.data()), text.size(), tools_->text.size());
  }
  json_document(const json_document&) = delete;
  json_document& operator=(const json_document&) = delete;
  ~json_document() {
    if (secret_) ::sodium_memzero(tools_->text.data(), tools_->text.size());
    if (tools_->text.size() <= largest_kept) store().push_back(std::move(tools_));
  }

  [[nodiscard]] simdjson::ondemand::document& root() & { return document_; }

private:
  struct tools {
    simdjson::ondemand::parser parser{simdjson::SIMDJSON_MAXSIZE_BYTES};
    bytes text;
  };
  // A parser takes about seven times the length of its largest text.
  static constexpr std::size_t largest_kept = std::size_t{1} << 18;

  [[nodiscard]] static std::vector<std::unique_ptr<tools>>& store() {
    thread_local std::vector<std::unique_ptr<tools>> idle;
    return idle;
  }

  [[nodiscard]] static std::unique_ptr<tools> borrow(std::size_t length) {
    auto& idle = store();
    std::unique_ptr<tools> lent;
    if (idle.empty()) {
      lent = std::make_unique<tools>();
      idle.reserve(idle.capacity() + 1);  // so that the destructor cannot throw
    } else {
      lent = std::move(idle.back());
      idle.pop_back();
    }
    const auto needed = length + simdjson::SIMDJSON_PADDING;
    if (lent->text.size() < needed) {
      // Small texts share sizes so that a parser is seldom allocated again.
      const auto rounded = needed <= largest_kept ? std::max(std::bit_ceil(needed), std::size_t{4096}) : needed;
      lent->text = bytes(rounded);
      if (lent->parser.allocate(rounded) != simdjson::SUCCESS)
        throw error(error_code::failure, "not enough memory to read " + std::to_string(length) + " bytes of JSON");
    }
    return lent;
  }

  std::unique_ptr<tools> tools_;
  bool secret_;
  simdjson::ondemand::document document_;
};

/// The text of a scalar as it stands, without blanks after it. For objects and arrays only the opening bracket.
[[nodiscard]] inline std::string_view raw_token(json_value& value) {
  std::string_view token = value.raw_json_token();
  while (!token.empty() &&
         (token.back() == ' ' || token.back() == '\n' || token.back() == '\r' || token.back() == '\t'))
    token.remove_suffix(1);
  return token;
}

[[nodiscard]] inline bool is_null(json_value& value) {
  const auto token = raw_token(value);
  if (token.empty() || token.front() != 'n') return false;
  if (token != "null") throw json_error("not a JSON value");
  return true;
}

/// What stands between the quotation marks, still escaped.
[[nodiscard]] inline std::string_view raw_string(json_value& value) {
  const auto token = raw_token(value);
  if (token.size() < 2 || token.front() != '"' || token.back() != '"') throw json_error("must be a string");
  return token.substr(1, token.size() - 2);
}

/// Valid until the document ends. Strings without escapes, nearly all, are not copied.
[[nodiscard]] inline std::string_view string_of(json_value& value) {
  const auto raw = raw_string(value);
  if (std::memchr(raw.data(), '\\', raw.size()) == nullptr) return raw;
  return value.get_string();
}

inline void read(json_value& value, std::string& into) {
  if (!is_null(value)) into = string_of(value);
}

template <class Unsigned>
  requires std::is_unsigned_v<Unsigned> && (!std::is_same_v<Unsigned, bool>)
void read(json_value& value, Unsigned& into) {
  if (is_null(value)) return;
  std::uint64_t number = 0;
  if (value.get_uint64().get(number) != simdjson::SUCCESS || number > std::numeric_limits<Unsigned>::max())
    throw json_error("must be an integer from 0 to " + std::to_string(std::numeric_limits<Unsigned>::max()));
  into = static_cast<Unsigned>(number);
}

template <class Signed>
  requires std::is_signed_v<Signed> && std::is_integral_v<Signed>
void read(json_value& value, Signed& into) {
  if (is_null(value)) return;
  std::int64_t number = 0;
  if (value.get_int64().get(number) != simdjson::SUCCESS || number < std::numeric_limits<Signed>::min() ||
      number > std::numeric_limits<Signed>::max())
    throw json_error("must be an integer of " + std::to_string(sizeof(Signed) * 8) + " bits");
  into = static_cast<Signed>(number);
}

inline void read(json_value& value, bool& into) {
  if (is_null(value)) return;
  const auto token = raw_token(value);
  if (token != "true" && token != "false") throw json_error("must be true or false");
  into = token == "true";
}

inline void read(json_value& value, timestamp& into) {
  if (is_null(value)) return;
  const auto time = parse_rfc3339(string_of(value));
  if (!time) throw json_error("must be a time such as 2006-01-02T15:04:05Z");
  into = *time;
}

/// A SHA-256 in hexadecimal. Not null.
[[nodiscard]] inline id id_of(json_value& value) {
  const std::string_view token = value.raw_json_token();
  if (token.size() < id::hex_size + 2 || token.front() != '"' || token[id::hex_size + 1] != '"')
    throw json_error("must be 64 hexadecimal digits");
  id result;
  if (!read_hex(token.data() + 1, result.value)) throw json_error("must be 64 hexadecimal digits");
  return result;
}

inline void read(json_value& value, std::optional<id>& into) {
  if (!is_null(value)) into = id_of(value);
}

inline void read(json_value& value, bytes& into) {
  if (is_null(value)) return;
  try {
    into = from_base64(string_of(value));
  } catch (const error&) {
    throw json_error("must be base64");
  }
}

/// Calls `visit(key, value)` for each field. Values that it does not touch are passed over.
template <class Visit>
void for_each_field(json_object object, Visit&& visit) {
  for (auto next : object) {
    simdjson::ondemand::field field;
    if (const auto code = std::move(next).get(field)) throw simdjson::simdjson_error(code);
    const char* const start = field.key().raw();
    const char* const end = std::strchr(start, '"');  // there is one: a string without end does not get this far
    if (end == nullptr) throw json_error("a key without end");
    std::string_view key(start, static_cast<std::size_t>(end - start));
    if (key.find('\\') != std::string_view::npos) key = field.unescaped_key();
    try {
      visit(key, field.value());
    } catch (json_error& problem) {
      problem.within(key);
      throw;
    } catch (const simdjson::simdjson_error& problem) {
      json_error located(problem.what());
      located.within(key);
      throw located;
    }
  }
}

/// Calls `visit(element)` for each element; null counts as an empty array. Returns false if it was null.
template <class Visit>
bool for_each_element(json_value& value, Visit&& visit) {
  if (is_null(value)) return false;
  json_array array;
  if (value.get_array().get(array) != simdjson::SUCCESS) throw json_error("must be an array");
  std::size_t position = 0;
  for (auto next : array) {
    json_value element;
    if (const auto code = std::move(next).get(element)) throw simdjson::simdjson_error(code);
    try {
      visit(element);
    } catch (json_error& problem) {
      problem.within("[" + std::to_string(position) + "]");
      throw;
    }
    ++position;
  }
  return true;
}

[[nodiscard]] inline json_object object_of(json_value& value) {
  json_object object;
  if (value.get_object().get(object) != simdjson::SUCCESS) throw json_error("must be an object");
  return object;
}

inline void read(json_value& value, std::vector<std::string>& into) {
  into.clear();
  for_each_element(value, [&into](json_value& element) { read(element, into.emplace_back()); });
}

/// Runs `body(json_object)` on the root of `text`, which must be one object and nothing after it. What does not parse
/// or does not fit is thrown as recoup::error(damaged, "<what> is damaged: field …: …"). `what` names the object in
/// messages. Of a `secret` text no copy stays behind, as long as `body` takes strings with `raw_string`.
template <class Body>
void read_json(byte_view text, std::string_view what, Body&& body, bool secret = false) {
  const auto fail = [what](const std::string& reason) {
    return error(error_code::damaged, std::string(what) + " is damaged: " + reason);
  };
  try {
    json_document document(text, secret);
    json_object root;
    if (document.root().get_object().get(root) != simdjson::SUCCESS) throw json_error("must be a JSON object");
    body(root);
    // At the end there is no location any more.
    if (document.root().current_location().error() != simdjson::OUT_OF_BOUNDS)
      throw json_error("more follows after the end of the JSON object");
  } catch (const json_error& problem) {
    throw fail(problem.message());
  } catch (const simdjson::simdjson_error& problem) {
    throw fail(std::string("not valid JSON: ") + problem.what());
  }
}

}  // namespace recoup
