// XML as S3 and STS speak it: small answers read whole into a tree, small requests written. Namespaces and attributes
// carry nothing that anybody needs here, so prefixes are dropped and attributes passed over.
//
// Nobody vouches for what is read. Between us and the server stand proxies with error pages of their own, so depth,
// size and number of elements are limited, and a DOCTYPE, which S3 never sends and which is what all of XML's known
// attacks start from, ends the parse.
#pragma once

#include <expat.h>

#include <algorithm>
#include <cstddef>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/json/go_quote.hpp>
#include <recoup/json/utf8.hpp>

namespace recoup {

struct xml_element {
  std::string name{};  ///< without namespace prefix
  std::string text{};  ///< what stands directly in it, blanks and all; between children blanks alone count as nothing
  std::vector<xml_element> children{};

  /// The first child of this name; null if there is none.
  [[nodiscard]] const xml_element* child(std::string_view wanted) const noexcept {
    const auto at = std::ranges::find(children, wanted, &xml_element::name);
    return at == children.end() ? nullptr : &*at;
  }

  /// Down a path, the first of each name: `root.first("Owner", "ID")`. Null where a step is missing.
  template <class... Names>
  [[nodiscard]] const xml_element* first(const Names&... names) const noexcept {
    const xml_element* at = this;
    ((at = at == nullptr ? nullptr : at->child(names)), ...);
    return at;
  }

  /// The text at the end of a path, empty where a step is missing.
  template <class... Names>
  [[nodiscard]] std::string_view text_of(const Names&... names) const noexcept {
    const auto* const found = first(names...);
    return found == nullptr ? std::string_view{} : std::string_view(found->text);
  }

  class children_of_name;

  /// All children of this name, in their order, to go through with `for`. `wanted` must stay meanwhile.
  [[nodiscard]] children_of_name all(std::string_view wanted) const noexcept;

  [[nodiscard]] friend bool operator==(const xml_element&, const xml_element&) = default;
};

// Not std::views::filter: clang 14 does not compile that of libstdc++ 12.
class xml_element::children_of_name {
public:
  class iterator {
  public:
    iterator(const xml_element* at, const xml_element* end, std::string_view name) noexcept
        : at_(at), end_(end), name_(name) {
      pass_over_others();
    }
    [[nodiscard]] const xml_element& operator*() const noexcept { return *at_; }
    iterator& operator++() noexcept {
      ++at_;
      pass_over_others();
      return *this;
    }
    [[nodiscard]] bool operator==(const iterator& other) const noexcept { return at_ == other.at_; }

  private:
    void pass_over_others() noexcept {
      while (at_ != end_ && at_->name != name_) ++at_;
    }

    const xml_element *at_, *end_;
    std::string_view name_;
  };

  children_of_name(const std::vector<xml_element>& children, std::string_view name) noexcept
      : begin_(children.data()), end_(children.data() + children.size()), name_(name) {}

  [[nodiscard]] iterator begin() const noexcept { return {begin_, end_, name_}; }
  [[nodiscard]] iterator end() const noexcept { return {end_, end_, name_}; }

private:
  const xml_element *begin_, *end_;
  std::string_view name_;
};

inline xml_element::children_of_name xml_element::all(std::string_view wanted) const noexcept {
  return {children, wanted};
}

struct xml_limits {
  /// A page of 1000 versions with keys of 1024 bytes, each escaped to 3, and owners is below 5 MiB.
  std::size_t bytes = std::size_t{16} << 20;
  std::size_t depth = 32;
  std::size_t elements = 100'000;
};

namespace xml_reading {

/// For messages: how a text begins, fit for a terminal.
[[nodiscard]] inline std::string beginning(std::string_view text) {
  constexpr std::size_t shown = 120;
  constexpr std::string_view blanks = " \t\r\n";
  const auto end = text.find_last_not_of(blanks) + 1;  // npos + 1 is 0
  const auto rest = text.substr(0, end).substr(std::min(text.find_first_not_of(blanks), end));
  return '"' + go_quoted(rest.substr(0, shown)) + (rest.size() > shown ? "…\"" : "\"");
}

/// Takes expat's calls. Nothing is thrown through its C code: what is wrong is kept and the parse stopped.
class tree_builder {
public:
  tree_builder(XML_Parser parser, const xml_limits& limits) : parser_(parser), limits_(limits) {
    ::XML_SetUserData(parser, this);
    ::XML_SetElementHandler(parser, on_start, on_end);
    ::XML_SetCharacterDataHandler(parser, on_text);
    ::XML_SetStartDoctypeDeclHandler(parser, on_doctype);
  }
  tree_builder(const tree_builder&) = delete;
  tree_builder& operator=(const tree_builder&) = delete;

  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }
  [[nodiscard]] const std::exception_ptr& thrown() const noexcept { return thrown_; }
  [[nodiscard]] xml_element take() noexcept { return std::move(root_); }

private:
  template <class Body>
  static void guarded(void* self, Body&& body) noexcept {
    auto& builder = *static_cast<tree_builder*>(self);
    if (!builder.problem_.empty() || builder.thrown_) return;  // expat may deliver what it has already seen
    try {
      body(builder);
    } catch (...) {
      builder.thrown_ = std::current_exception();
      ::XML_StopParser(builder.parser_, XML_FALSE);
    }
  }

  void refuse(std::string why) {
    problem_ = std::move(why);
    ::XML_StopParser(parser_, XML_FALSE);
  }

  static void XMLCALL on_start(void* self, const XML_Char* name, const XML_Char**) {
    guarded(self, [name](tree_builder& builder) { builder.start(name); });
  }
  static void XMLCALL on_end(void* self, const XML_Char*) {
    guarded(self, [](tree_builder& builder) { builder.end(); });
  }
  static void XMLCALL on_text(void* self, const XML_Char* text, int length) {
    guarded(self, [=](tree_builder& builder) {
      builder.open_.back()->text.append(text, static_cast<std::size_t>(length));
    });
  }
  static void XMLCALL on_doctype(void* self, const XML_Char*, const XML_Char*, const XML_Char*, int) {
    guarded(self, [](tree_builder& builder) { builder.refuse("it has a DOCTYPE, which S3 never sends"); });
  }

  void start(std::string_view name) {
    if (open_.size() >= limits_.depth) return refuse("elements lie too deep in each other");
    if (++count_ > limits_.elements) return refuse("it has too many elements");
    name.remove_prefix(name.rfind(':') + 1);  // npos + 1 is 0
    // A parent gets further children only when this one has ended, so the pointers stay good.
    auto& element = open_.empty() ? root_ : open_.back()->children.emplace_back();
    element.name = name;
    open_.push_back(&element);
  }

  void end() {
    auto& element = *open_.back();
    if (!element.children.empty() && element.text.find_first_not_of(" \t\r\n") == std::string::npos)
      element.text.clear();
    open_.pop_back();
  }

  XML_Parser parser_;
  xml_limits limits_;
  xml_element root_;
  std::vector<xml_element*> open_;
  std::size_t count_ = 0;
  std::string problem_;
  std::exception_ptr thrown_;
};

}  // namespace xml_reading

/// Reads a whole document; `what` names it in messages ("the list of bucket backups"). With `root` given, the outermost
/// element must have that name. Throws io, quoting how the document begins, if it is not that: such an answer came from
/// something that is no S3 server, or was cut off.
[[nodiscard]] inline xml_element parse_xml(std::string_view text, std::string_view what, std::string_view root = {},
                                           const xml_limits& limits = {}) {
  const auto fail = [&](const std::string& why) {
    return error(error_code::io, std::string(what) + " is not what an S3 server sends: " + why + "; it begins with " +
                                     xml_reading::beginning(text) +
                                     " (does something else answer at this address, a proxy or a web console?)");
  };
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos)
    throw error(error_code::io, std::string(what) + " is empty, where XML is expected");
  if (text.size() > limits.bytes)
    throw fail(std::to_string(text.size()) + " bytes are more than the " + std::to_string(limits.bytes) + " allowed");

  struct free_parser {
    void operator()(XML_ParserStruct* parser) const noexcept { ::XML_ParserFree(parser); }
  };
  const std::unique_ptr<XML_ParserStruct, free_parser> parser(::XML_ParserCreate(nullptr));
  if (!parser) throw error(error_code::failure, "no memory to read " + std::string(what));
  xml_reading::tree_builder builder(parser.get(), limits);
  const auto status = ::XML_Parse(parser.get(), text.data(), static_cast<int>(text.size()), XML_TRUE);
  if (builder.thrown()) std::rethrow_exception(builder.thrown());
  if (!builder.problem().empty()) throw fail(builder.problem());
  if (status != XML_STATUS_OK)
    throw fail(std::string("no valid XML: ") + ::XML_ErrorString(::XML_GetErrorCode(parser.get())) + " in line " +
               std::to_string(::XML_GetCurrentLineNumber(parser.get())));
  auto element = builder.take();
  if (!root.empty() && element.name != root)
    throw fail("<" + go_quoted(element.name) + "> stands where <" + std::string(root) + "> must");
  return element;
}

/// Whether XML 1.0 can hold it at all: UTF-8 without control characters, except tab and line breaks. An object whose
/// key cannot be written has to be deleted with a request of its own.
[[nodiscard]] constexpr bool is_xml_text(std::string_view text) noexcept {
  while (!text.empty()) {
    const auto next = decode_rune(text);
    const bool is_break = next.rune == '\t' || next.rune == '\n' || next.rune == '\r';
    if (!next.valid || (next.rune < 0x20 && !is_break) || next.rune == 0xfffe || next.rune == 0xffff) return false;
    text.remove_prefix(next.width);
  }
  return true;
}

/// Text between tags or in a quoted attribute. Throws invalid_argument unless is_xml_text.
inline void append_xml_escaped(std::string& to, std::string_view text) {
  if (!is_xml_text(text))
    throw error(error_code::invalid_argument,
                "\"" + go_quoted(text) + "\" cannot be sent in XML: it has control characters or is not UTF-8");
  for (const char c : text) {
    switch (c) {
      case '&': to += "&amp;"; break;
      case '<': to += "&lt;"; break;
      case '>': to += "&gt;"; break;
      case '"': to += "&quot;"; break;
      // Readers turn these into a line feed, or a blank, if they stand as they are (XML 1.0 section 2.11, 3.3.3).
      case '\r': to += "&#13;"; break;
      case '\n': to += "&#10;"; break;
      case '\t': to += "&#9;"; break;
      default: to += c;
    }
  }
}

/// Puts a document together: `xml_writer("Delete").element("Quiet", "true").begin("Object").element("Key", key).end()
/// .take()`. Elements still open are closed by `take`.
class xml_writer {
public:
  /// The outermost element, in S3's namespace unless told otherwise.
  explicit xml_writer(std::string_view root, std::string_view name_space = "http://s3.amazonaws.com/doc/2006-03-01/") {
    ((text_ += '<') += root);
    if (!name_space.empty()) {
      text_ += " xmlns=\"";
      append_xml_escaped(text_, name_space);
      text_ += '"';
    }
    text_ += '>';
    open_.emplace_back(root);
  }

  xml_writer& begin(std::string_view name) {
    ((text_ += '<') += name) += '>';
    open_.emplace_back(name);
    return *this;
  }

  xml_writer& end() {
    ((text_ += "</") += open_.back()) += '>';
    open_.pop_back();
    return *this;
  }

  xml_writer& element(std::string_view name, std::string_view content) {
    ((text_ += '<') += name) += '>';
    append_xml_escaped(text_, content);
    ((text_ += "</") += name) += '>';
    return *this;
  }

  /// An element as it was read, with all that lies in it.
  xml_writer& copy(const xml_element& from) {
    if (from.children.empty()) return element(from.name, from.text);
    begin(from.name);
    for (const auto& child : from.children) copy(child);
    return end();
  }

  [[nodiscard]] std::string take() {
    while (!open_.empty()) end();
    return std::move(text_);
  }

private:
  std::string text_;
  std::vector<std::string> open_;
};

}  // namespace recoup
