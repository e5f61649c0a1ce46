// SPDX-License-Identifier: Apache-2.0
// Grammar of interpolations and of the arguments of resolvers, by recursive descent on the text.
#include "framework/config/interpolation_parser.h"

#include "framework/config/override_lexer.h"
#include "framework/core/error.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>

namespace triptych::config {
namespace {

using Kind = Expression::Kind;
constexpr int kDeepest = 50;
constexpr std::string_view kEscapable = "\\()[]{}:=, \t";

Expression literal(Node node) {
  Expression expression;
  expression.literal = std::move(node);
  return expression;
}

bool is_word_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_word(char c) { return is_word_start(c) || (c >= '0' && c <= '9') || c == '-'; }

/// Value of an unquoted word of an argument: a number, boolean, null or text.
Node typed_word(const std::string& word) {
  std::string lower = word;
  std::transform(
      lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  if (lower == "null") return Node();
  if (lower == "true" || lower == "false") return Node(lower == "true");
  std::string digits = word;
  std::erase(digits, '_');
  if (int_length(word) == word.size()) {
    std::int64_t value = 0;
    const char* begin = digits.data() + (digits[0] == '+' ? 1 : 0);
    const auto result = std::from_chars(begin, digits.data() + digits.size(), value);
    if (result.ec == std::errc()) return Node(value);
  }
  if (float_length(word) == word.size() && !word.empty())
    return Node(std::strtod(digits.c_str(), nullptr));
  return Node(word);
}

class Parser {
 public:
  Parser(std::string_view text, Mark mark) : text_(text), mark_(mark) {}

  Expression whole_text() {
    Expression expression = parse_text('\0');
    return expression;
  }

  Expression whole_argument() {
    skip_blanks();
    Expression expression = parse_element("");
    skip_blanks();
    if (next_ < text_.size()) fail("unexpected text after the value");
    return expression;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw ConfigError(
        "interpolation_syntax",
        fmt::format("{}: '{}': {} at character {}", mark_.text(), text_, what, next_ + 1),
        "write \\${ for a literal ${");
  }

  bool at(std::string_view expected) const { return text_.substr(next_).starts_with(expected); }
  char peek() const { return next_ < text_.size() ? text_[next_] : '\0'; }
  void skip_blanks() {
    while (peek() == ' ' || peek() == '\t') ++next_;
  }
  bool take_if(char c) {
    if (next_ >= text_.size() || peek() != c) return false;
    ++next_;
    return true;
  }

  struct Depth {
    explicit Depth(Parser& parser) : depth(parser.depth_) {
      if (++depth > kDeepest) parser.fail("nested too deeply");
    }
    ~Depth() { --depth; }
    int& depth;
  };

  /// Text up to `quote` (or the end if it is 0); backslashes count before `${` and before the
  /// quote.
  Expression parse_text(char quote) {
    Expression expression;
    expression.kind = quote == '\0' ? Kind::kText : Kind::kQuoted;
    std::string plain;
    const auto flush = [&] {
      if (!plain.empty()) expression.parts.push_back(literal(Node(std::exchange(plain, ""))));
    };
    while (next_ < text_.size()) {
      std::size_t run = next_;
      while (run < text_.size() && text_[run] == '\\') ++run;
      const std::size_t backslashes = run - next_;
      const bool opens = text_.substr(run).starts_with("${");
      const bool closes = quote != '\0' && run < text_.size() && text_[run] == quote;
      plain.append(opens || closes ? backslashes / 2 : backslashes, '\\');
      next_ = run;
      if (next_ == text_.size()) break;
      if ((opens || closes) && backslashes % 2 == 1) {
        plain.append(opens ? "${" : std::string(1, quote));
        next_ += opens ? 2 : 1;
      } else if (opens) {
        flush();
        expression.parts.push_back(parse_interpolation());
      } else if (closes) {
        flush();
        ++next_;
        return expression;
      } else {
        plain += text_[next_++];
      }
    }
    if (quote != '\0') fail("a quote is never closed");
    flush();
    return expression;
  }

  Expression parse_interpolation() {
    const Depth depth(*this);
    next_ += 2;
    skip_blanks();
    Expression expression;
    expression.kind = Kind::kNode;
    while (take_if('.')) ++expression.dots;
    while (true) {
      const bool bracket = take_if('[');
      expression.parts.push_back(parse_key(bracket));
      if (bracket && !take_if(']')) fail("expected ']'");
      if (peek() == '[') continue;
      if (!take_if('.')) break;
      if (peek() == '[') fail("expected a key");
    }
    skip_blanks();
    if (peek() == ':') return parse_call(std::move(expression));
    if (!take_if('}'))
      fail(next_ < text_.size() ? "unexpected character in an interpolation"
                                : "an interpolation is never closed");
    return expression;
  }

  Expression parse_key(bool in_bracket) {
    if (at("${")) return parse_interpolation();
    constexpr std::string_view kSpecial = "\\${}()[]:. \t'\"";
    const std::size_t begin = next_;
    // In brackets a key ends at ']' only by the same rule: ']' is special.
    while (next_ < text_.size() && kSpecial.find(text_[next_]) == std::string_view::npos) ++next_;
    if (next_ == begin) fail(in_bracket ? "expected a key in brackets" : "expected a key");
    return literal(Node(text_.substr(begin, next_ - begin)));
  }

  /// `${name:` was read as a node; its keys are the parts of the resolver's name.
  Expression parse_call(Expression name) {
    if (name.dots > 0) fail("a resolver's name starts with a letter");
    Expression call;
    call.kind = Kind::kCall;
    Expression joined;
    joined.kind = Kind::kText;
    for (Expression& part : name.parts) {
      if (part.kind == Kind::kLiteral) {
        const std::string& word = part.literal.as_string();
        if (!is_word_start(word[0]) || !std::all_of(word.begin(), word.end(), is_word))
          fail("malformed name of a resolver");
      }
      if (!joined.parts.empty()) joined.parts.push_back(literal(Node(".")));
      joined.parts.push_back(std::move(part));
    }
    call.parts.push_back(std::move(joined));
    ++next_;
    skip_blanks();
    if (take_if('}')) return call;
    while (true) {
      skip_blanks();
      // An argument may be left out: it is the empty text.
      const bool empty = peek() == ',' || peek() == '}';
      call.parts.push_back(empty ? literal(Node("")) : parse_element(",}"));
      skip_blanks();
      if (take_if('}')) return call;
      if (!take_if(','))
        fail(next_ < text_.size() ? "expected ',' or '}'" : "an interpolation is never closed");
    }
  }

  /// One value; `ends` are the characters that end an unquoted one.
  Expression parse_element(std::string_view ends) {
    const Depth depth(*this);
    if (peek() == '[') return parse_list();
    if (peek() == '{') return parse_map();
    if (peek() == '\'' || peek() == '"') {
      const char quote = text_[next_++];
      return parse_text(quote);
    }
    return parse_primitive(ends, true);
  }

  Expression parse_list() {
    ++next_;
    Expression list;
    list.kind = Kind::kList;
    skip_blanks();
    if (take_if(']')) return list;
    while (true) {
      skip_blanks();
      const bool empty = peek() == ',' || peek() == ']';
      list.parts.push_back(empty ? literal(Node("")) : parse_element(",]"));
      skip_blanks();
      if (take_if(']')) return list;
      if (!take_if(',')) fail("expected ',' or ']'");
    }
  }

  Expression parse_map() {
    ++next_;
    Expression map;
    map.kind = Kind::kMap;
    skip_blanks();
    if (take_if('}')) return map;
    while (true) {
      skip_blanks();
      const Node key = parse_primitive(":", false).literal;
      if (key.is_null()) fail("null cannot be a key");
      if (!take_if(':')) fail("expected ':'");
      skip_blanks();
      map.keys.push_back(key.is_bool()     ? Key(Key::Value(key.as_bool()))
                         : key.is_int()    ? Key(Key::Value(key.as_int()))
                         : key.is_double() ? Key(Key::Value(key.as_double()))
                                           : Key(key.as_string()));
      map.parts.push_back(parse_element(",}"));
      skip_blanks();
      if (take_if('}')) return map;
      if (!take_if(',')) fail("expected ',' or '}'");
    }
  }

  /// Unquoted words, blanks, escapes and interpolations: one word is typed, more are one text.
  Expression parse_primitive(std::string_view ends, bool is_value) {
    constexpr std::string_view kAllowed = "/-\\+.$%*@?|";
    Expression joined;
    joined.kind = Kind::kText;
    std::string plain;
    bool escaped = false;
    std::size_t kept = 0;  // length up to which blanks were escaped and stay
    while (next_ < text_.size() && ends.find(peek()) == std::string_view::npos) {
      const char c = peek();
      if (at("${")) {
        if (!is_value) fail("an interpolation cannot be a key");
        if (!plain.empty()) joined.parts.push_back(literal(Node(std::exchange(plain, ""))));
        kept = 0;
        joined.parts.push_back(parse_interpolation());
      } else if (c == '\\' && next_ + 1 < text_.size() &&
                 kEscapable.find(text_[next_ + 1]) != std::string_view::npos) {
        plain += text_[next_ + 1];
        next_ += 2;
        escaped = true;
        kept = plain.size();
      } else if (is_word(c) || c == ' ' || c == '\t' || (c == ':' && is_value) ||
                 kAllowed.find(c) != std::string_view::npos) {
        plain += c;
        ++next_;
      } else {
        fail("unexpected character; quote the text");
      }
    }
    while (plain.size() > kept && (plain.back() == ' ' || plain.back() == '\t')) plain.pop_back();
    if (joined.parts.empty()) {
      if (plain.empty()) fail(is_value ? "expected a value" : "expected a key");
      return literal(escaped ? Node(plain) : typed_word(plain));
    }
    if (!plain.empty()) joined.parts.push_back(literal(Node(plain)));
    return joined;
  }

  std::string_view text_;
  Mark mark_;
  std::size_t next_ = 0;
  int depth_ = 0;
};

}  // namespace

Expression parse_interpolated(std::string_view text, Mark mark) {
  return Parser(text, mark).whole_text();
}

Expression parse_argument(std::string_view text, Mark mark) {
  return Parser(text, mark).whole_argument();
}

}  // namespace triptych::config
