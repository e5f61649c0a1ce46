// SPDX-License-Identifier: Apache-2.0
// The grammar of override words (the part before `=`, and values by recursive descent).
#include "framework/config/override.h"
#include "framework/config/override_functions.h"
#include "framework/config/override_lexer.h"
#include "framework/core/error.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>

namespace triptych::config {
namespace {

using Type = Token::Type;

constexpr int kDeepest = 100;

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// `[A-Za-z_$][A-Za-z0-9_$-]*`; groups go without `$`.
bool is_key_part(std::string_view part, bool dollar) {
  const auto starts = [&](char c) { return is_letter(c) || c == '_' || (dollar && c == '$'); };
  return !part.empty() && starts(part[0]) && std::all_of(part.begin(), part.end(), [&](char c) {
    return starts(c) || is_digit(c) || c == '-';
  });
}

bool is_index(std::string_view part) {
  if (part == "0") return true;
  return !part.empty() && part[0] != '0' && std::all_of(part.begin(), part.end(), is_digit);
}

bool is_dotted(std::string_view path) {
  if (path.empty() || path.back() == '.') return false;
  const std::vector<std::string> parts = split_path(path);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (!is_key_part(parts[i], true) && !(i > 0 && is_index(parts[i]))) return false;
  }
  return true;
}

bool is_group(std::string_view path) {
  while (true) {
    const std::size_t slash = path.find('/');
    if (!is_key_part(path.substr(0, slash), false)) return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
}

class WordParser {
 public:
  WordParser(std::string_view word, Mark mark) : word_(word), mark_(mark) {
    override_.word = word;
    override_.mark = mark;
  }

  Override parse() {
    std::size_t begin = 0;
    if (word_.starts_with("++")) {
      override_.type = Override::Type::kForceAdd;
      begin = 2;
    } else if (word_.starts_with('+')) {
      override_.type = Override::Type::kAdd;
      begin = 1;
    } else if (word_.starts_with('~')) {
      override_.type = Override::Type::kDelete;
      begin = 1;
    }
    const std::size_t equal = word_.find('=');
    if (equal == std::string_view::npos && override_.type != Override::Type::kDelete) {
      fail("is no override: '=' is missing", "write key=value, +key=value, ++key=value or ~key");
    }
    parse_key(word_.substr(begin, equal == std::string_view::npos ? equal : equal - begin));
    if (equal == std::string_view::npos) {
      override_.value = OverrideValue::of(Node::null(mark_));
    } else {
      parse_value(equal + 1);
    }
    return std::move(override_);
  }

 private:
  [[noreturn]] void fail(const std::string& what, std::string hint = "") const {
    throw ConfigError(
        "override_syntax", fmt::format("{} '{}': {}", mark_.text(), word_, what), std::move(hint));
  }

  [[noreturn]] void fail_at(const Token& token, const char* expected) const {
    const std::string got =
        token.type == Type::kEnd ? "the word ends" : fmt::format("got '{}'", token.text);
    fail(fmt::format("expected {} at character {}, {}", expected, offset_ + token.column + 1, got),
         "quote a value with special characters, and protect the quotes from the shell: "
         "\"key='...'\"");
  }

  void parse_key(std::string_view key) {
    const std::size_t at = key.find('@');
    override_.key = key.substr(0, at);
    if (at != std::string_view::npos) {
      override_.package = key.substr(at + 1);
      if (!is_dotted(*override_.package))
        fail(fmt::format("'{}' is no package", *override_.package));
    }
    if (override_.key.find('/') != std::string::npos ? is_group(override_.key)
                                                     : is_dotted(override_.key))
      return;
    fail(fmt::format("'{}' is no key", override_.key),
         "a key is a.b.0 or group/sub; letters, digits, '_', '-' and '$', no blanks");
  }

  void parse_value(std::size_t offset) {
    std::string_view value = word_.substr(offset);
    const std::size_t blanks = std::min(value.find_first_not_of(" \t"), value.size());
    offset_ = offset + blanks;
    value.remove_prefix(blanks);
    tokens_ = tokenize_value(value, word_, offset_, mark_);
    if (peek().type == Type::kEnd) {
      override_.value = OverrideValue::of(Node("", mark_));
      return;
    }
    Argument first = parse_element();
    if (peek().type == Type::kEnd) {
      if (auto* sweep = std::get_if<Sweep>(&first)) {
        override_.value = std::move(*sweep);
      } else {
        override_.value = std::move(std::get<OverrideValue>(first));
      }
      return;
    }
    Sweep sweep;
    sweep.simple = true;
    sweep.choices.push_back(plain(std::move(first)));
    while (peek().type == Type::kComma) {
      take();
      sweep.choices.push_back(plain(parse_element()));
    }
    if (peek().type != Type::kEnd) fail_at(peek(), "',' or the end");
    override_.value = std::move(sweep);
  }

  const Token& peek(std::size_t ahead = 0) const {
    return tokens_[std::min(next_ + ahead, tokens_.size() - 1)];
  }
  const Token& take() { return tokens_[std::min(next_++, tokens_.size() - 1)]; }

  /// A sweep makes sense as the whole value only.
  OverrideValue plain(Argument argument) const {
    if (std::holds_alternative<Sweep>(argument)) {
      throw ConfigError(
          "bad_function_call",
          fmt::format("{} '{}': a sweep must be the whole value of its key", mark_.text(), word_));
    }
    return std::move(std::get<OverrideValue>(argument));
  }

  Argument parse_element() {
    if (++depth_ > kDeepest) fail(fmt::format("nested deeper than {} levels", kDeepest));
    Argument element;
    if (peek().type == Type::kWord && peek(1).type == Type::kParenOpen) {
      element = parse_call();
    } else if (peek().type == Type::kBracketOpen) {
      element = parse_list();
    } else if (peek().type == Type::kBraceOpen) {
      element = parse_map();
    } else if (peek().type == Type::kQuoted) {
      const std::string_view quoted = take().text;
      OverrideValue value = OverrideValue::of(Node(unquote(quoted), mark_));
      value.kind = OverrideValue::Kind::kQuoted;
      value.quote = quoted.front();
      element = std::move(value);
    } else {
      element = OverrideValue::of(parse_primitive(true));
    }
    --depth_;
    return element;
  }

  OverrideValue parse_list() {
    take();
    OverrideValue list;
    list.kind = OverrideValue::Kind::kList;
    if (peek().type != Type::kBracketClose) {
      list.elements.push_back(plain(parse_element()));
      while (peek().type == Type::kComma) {
        take();
        list.elements.push_back(plain(parse_element()));
      }
    }
    if (peek().type != Type::kBracketClose) fail_at(peek(), "',' or ']'");
    take();
    return list;
  }

  OverrideValue parse_map() {
    take();
    OverrideValue map;
    map.kind = OverrideValue::Kind::kMap;
    while (peek().type != Type::kBraceClose || !map.entries.empty()) {
      const Key key = parse_map_key();
      if (peek().type != Type::kColon) fail_at(peek(), "':'");
      take();
      OverrideValue value = plain(parse_element());
      const auto same = std::find_if(map.entries.begin(),
                                     map.entries.end(),
                                     [&](const auto& entry) { return entry.first == key; });
      if (same != map.entries.end()) {
        same->second = std::move(value);
      } else {
        map.entries.emplace_back(key, std::move(value));
      }
      if (peek().type != Type::kComma) break;
      take();
    }
    if (peek().type != Type::kBraceClose) fail_at(peek(), "',' or '}'");
    take();
    return map;
  }

  Key parse_map_key() {
    if (peek().type == Type::kQuoted) fail_at(peek(), "a key without quotes");
    const Node key = parse_primitive(false);
    if (key.is_bool()) return Key(Key::Value(key.as_bool()), mark_);
    if (key.is_int()) return Key(Key::Value(key.as_int()), mark_);
    if (key.is_double()) return Key(Key::Value(key.as_double()), mark_);
    if (key.is_string()) return Key(key.as_string(), mark_);
    throw ConfigError("bad_key_type",
                      fmt::format("{} '{}': null cannot be a key", mark_.text(), word_));
  }

  Argument parse_call() {
    FunctionCall call;
    call.name = take().text;
    call.place = fmt::format("{} '{}'", mark_.text(), word_);
    take();
    while (peek().type != Type::kParenClose || !call.positional.empty() || !call.named.empty()) {
      if (peek().type == Type::kWord && peek(1).type == Type::kEqual) {
        std::string name(take().text);
        take();
        call.named.emplace_back(std::move(name), parse_element());
      } else {
        if (!call.named.empty()) {
          throw ConfigError("bad_function_call",
                            call.place + ": an argument without a name follows one with a name");
        }
        call.positional.push_back(parse_element());
      }
      if (peek().type != Type::kComma) break;
      take();
    }
    if (peek().type != Type::kParenClose) fail_at(peek(), "',' or ')'");
    take();
    return evaluate(call);
  }

  /// One token is a typed value; several are one text, joined as they were written.
  Node parse_primitive(bool is_value) {
    const std::size_t begin = next_;
    while (peek().type >= Type::kFloat && peek().type <= Type::kBlanks) take();
    if (is_value) {
      while ((peek().type >= Type::kFloat && peek().type <= Type::kInterpolation) ||
             peek().type == Type::kColon) {
        take();
      }
    }
    std::size_t first = begin;
    std::size_t last = next_;
    if (first < last && tokens_[first].type == Type::kBlanks) ++first;
    if (first < last && tokens_[last - 1].type == Type::kBlanks) --last;
    if (first == last) fail_at(peek(), is_value ? "a value" : "a key");
    if (last - first == 1) return typed(tokens_[first]);
    std::string text;
    for (std::size_t i = first; i < last; ++i) {
      const Token& token = tokens_[i];
      text += token.type == Type::kEscapes ? unescape(token.text) : std::string(token.text);
    }
    return Node(std::move(text), mark_);
  }

  Node typed(const Token& token) const {
    std::string text(token.text);
    switch (token.type) {
      case Type::kNull:
        return Node::null(mark_);
      case Type::kBool:
        return Node(text.size() == 4, mark_);
      case Type::kEscapes:
        return Node(unescape(token.text), mark_);
      case Type::kInt: {
        std::erase(text, '_');
        if (text[0] == '+') text.erase(0, 1);
        std::int64_t value = 0;
        const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
        if (result.ec != std::errc())
          fail(fmt::format("integer {} does not fit 64 bits", token.text));
        return Node(value, mark_);
      }
      case Type::kFloat: {
        std::erase(text, '_');
        return Node(std::strtod(text.c_str(), nullptr), mark_);
      }
      default:
        return Node(std::move(text), mark_);
    }
  }

  std::string_view word_;
  Mark mark_;
  Override override_;
  std::vector<Token> tokens_;
  std::size_t next_ = 0;
  std::size_t offset_ = 0;
  int depth_ = 0;
};

}  // namespace

Override parse_override(std::string_view word, Mark mark) { return WordParser(word, mark).parse(); }

std::vector<Override> parse_overrides(const std::vector<std::string>& words,
                                      const std::vector<int>& numbers) {
  std::vector<Override> overrides;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const int number = i < numbers.size() ? numbers[i] : static_cast<int>(i) + 1;
    overrides.push_back(parse_override(words[i], Mark::at_word(number)));
  }
  return overrides;
}

}  // namespace triptych::config
