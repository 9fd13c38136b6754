// The files ~/.aws/credentials and ~/.aws/config, as AWS's own programs read them.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <recoup/core/error.hpp>
#include <recoup/crypto/secret.hpp>
#include <recoup/s3/credentials/secret_text.hpp>

namespace recoup {

/// Sections of `name = value` lines. Values stay in the secret memory that the file was read into. Names of keys are in
/// lower case; of equal keys the last one counts, and equal sections are one.
///
/// Lines that begin with `#` or `;` are comments, and so is what follows one of them after a blank. Indented lines
/// belong to the value above (AWS nests settings of single services so); nothing here needs them.
class ini_file {
public:
  using section = std::map<std::string, std::string_view, std::less<>>;

  /// Nothing if there is no such file. Throws invalid_argument, naming the line but not what stands in it, for text
  /// that is not of this form.
  [[nodiscard]] static std::optional<ini_file> read(const std::string& path, const std::string& what) {
    auto text = read_secret_file(path, what);
    if (!text) return std::nullopt;
    return ini_file(std::move(*text), path);
  }

  ini_file(secret_bytes text, std::string path) : text_(std::move(text)), path_(std::move(path)) { parse(); }

  [[nodiscard]] const std::string& path() const noexcept { return path_; }

  [[nodiscard]] const section* find(std::string_view name) const noexcept {
    const auto found = sections_.find(name);
    return found == sections_.end() ? nullptr : &found->second;
  }

private:
  static constexpr std::string_view blanks = " \t\r";

  [[nodiscard]] static std::string_view trimmed(std::string_view text) noexcept {
    text.remove_prefix(std::min(text.find_first_not_of(blanks), text.size()));
    return text.substr(0, text.find_last_not_of(blanks) + 1);  // npos + 1 is 0
  }

  [[nodiscard]] static std::string_view without_comment(std::string_view text) noexcept {
    for (std::size_t at = 1; at < text.size(); ++at)
      if ((text[at] == '#' || text[at] == ';') && blanks.find(text[at - 1]) != std::string_view::npos)
        return text.substr(0, at);
    return text;
  }

  void parse() {
    auto rest = as_text(text_.view());
    if (rest.starts_with("\xef\xbb\xbf")) rest.remove_prefix(3);
    section* open = nullptr;
    for (std::size_t number = 1; !rest.empty(); ++number) {
      const auto end = std::min(rest.find('\n'), rest.size());
      const auto line = rest.substr(0, end);
      rest.remove_prefix(std::min(end + 1, rest.size()));
      const auto content = trimmed(line);
      if (content.empty() || content.front() == '#' || content.front() == ';') continue;
      if (blanks.find(line.front()) != std::string_view::npos && open != nullptr) continue;
      if (content.front() == '[') {
        const auto close = content.find(']');
        if (close == std::string_view::npos) throw fault(number, "a section's name lacks its closing bracket");
        open = &sections_[spaced_once(content.substr(1, close - 1))];
        continue;
      }
      const auto equals = content.find('=');
      if (equals == std::string_view::npos) throw fault(number, "there is neither a section nor \"name = value\"");
      if (open == nullptr) throw fault(number, "a setting stands before the first section, such as [default]");
      std::string name(trimmed(content.substr(0, equals)));
      for (char& c : name)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
      (*open)[std::move(name)] = trimmed(without_comment(content.substr(equals + 1)));
    }
  }

  /// "profile  x" is "profile x".
  [[nodiscard]] static std::string spaced_once(std::string_view name) {
    std::string text;
    for (const char c : trimmed(name)) {
      const bool is_blank = blanks.find(c) != std::string_view::npos;
      if (!is_blank)
        text += c;
      else if (!text.ends_with(' '))
        text += ' ';
    }
    return text;
  }

  [[nodiscard]] error fault(std::size_t line, const std::string& why) const {
    return {error_code::invalid_argument, path_ + ", line " + std::to_string(line) + ": " + why};
  }

  secret_bytes text_;
  std::string path_;
  std::map<std::string, section, std::less<>> sections_;
};

}  // namespace recoup
