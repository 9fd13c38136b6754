// Cuts the text of a tree, which comes in pieces, into trees of some nodes each. Decoding these one after the other gives what
// decoding the whole would give, and throws if that would throw. So a directory of a million files need not be in memory.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>

namespace recoup {

/// Not thread-safe.
class tree_parts {
public:
  /// `usual` is the length of a part, bytes; one with a long node may be longer.
  explicit tree_parts(std::size_t usual) : usual_(usual) {}

  void add(byte_view text) { text_.append(as_text(text)); }

  /// A part, if enough has come for one. Throws damaged.
  [[nodiscard]] std::optional<std::string> next() {
    if (!may_be_cut()) return std::nullopt;
    scan();
    if (last_comma_ == 0 || scanned_ < usual_) return std::nullopt;
    auto part = text_.substr(0, last_comma_).append("]}");
    refuse_comma_without_node(part);
    text_.replace(0, last_comma_ + 1, beginning);
    scanned_ -= last_comma_ + 1 - beginning.size();
    last_comma_ = 0;
    was_cut_ = true;
    return part;
  }

  /// The last part: to be asked for after all text was added and next() has no more. Throws damaged.
  [[nodiscard]] std::string rest() {
    if (was_cut_) refuse_comma_without_node(text_);
    return std::move(text_);
  }

private:
  static constexpr std::string_view beginning = "{\"nodes\":[";

  /// Only what begins as every program writes it is cut. Anything else stays whole, for the parser to judge.
  [[nodiscard]] bool may_be_cut() {
    if (is_over_ || text_.size() < beginning.size()) return false;
    if (scanned_ != 0) return true;
    scanned_ = beginning.size();
    is_over_ = !text_.starts_with(beginning);
    return !is_over_;
  }

  /// As far as to the first comma behind the usual length, or the last one before it. What strings and escapes are is as
  /// simdjson sees it, also where a text is no JSON.
  void scan() {
    for (; scanned_ < text_.size() && !is_over_ && (scanned_ < usual_ || last_comma_ == 0); ++scanned_) {
      const char at = text_[scanned_];
      if (std::exchange(is_escaped_, false) && (in_string_ || at == '"' || at == '\\')) continue;
      if (at == '\\')
        is_escaped_ = true;
      else if (at == '"')
        in_string_ = !in_string_;
      else if (!in_string_)
        count(at);
    }
  }

  void count(char at) {
    if (at == '{' || at == '[') {
      ++depth_;
    } else if (at == '}' || at == ']') {
      is_over_ = depth_ == 0;
      --depth_;
    } else if (at == ',' && depth_ == 0) {
      last_comma_ = scanned_;
    }
  }

  /// In a part that ends with a comma such a list would be empty, which is right only where there is no comma.
  static void refuse_comma_without_node(std::string_view part) {
    const auto first = part.find_first_not_of(" \t\r\n", beginning.size());
    if (first != part.npos && part[first] == ']')
      throw error(error_code::damaged, "tree is damaged: field nodes: a comma without a node");
  }

  std::size_t usual_;
  std::string text_;           ///< begins with `beginning` again once a part was cut off
  std::size_t scanned_ = 0;    ///< characters of `text_`
  std::size_t last_comma_ = 0; ///< where it is, of those between nodes that were scanned; 0: there is none
  std::size_t depth_ = 0;      ///< of brackets within the list of nodes
  bool in_string_ = false, is_escaped_ = false, was_cut_ = false;
  bool is_over_ = false;  ///< the list of nodes; from the beginning, if this is none
};

}  // namespace recoup
