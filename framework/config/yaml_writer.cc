// SPDX-License-Identifier: Apache-2.0
#include "framework/config/yaml_writer.h"

#include "framework/config/yaml_scalar.h"

#include <fmt/core.h>

namespace triptych::config {
namespace {

/// Text that may stand without quotes as far as YAML's syntax goes.
bool plain_syntax(const std::string& text, bool in_flow) {
  if (text.empty() || text.front() == ' ' || text.back() == ' ' || text.back() == ':') return false;
  constexpr std::string_view kIndicators = ",[]{}#&*!|>'\"%@`?:-";
  if (kIndicators.find(text.front()) != std::string_view::npos) {
    // `-x` is fine, `- x` and `-` begin a list element.
    const bool dash =
        text.front() == '-' && text.size() > 1 && text[1] != ' ' && !text.starts_with("---");
    if (!dash) return false;
  }
  if (text.starts_with("...")) return false;
  if (text.find(": ") != std::string::npos || text.find(" #") != std::string::npos) return false;
  return !in_flow || text.find_first_of(",[]{}:?") == std::string::npos;
}

bool needs_escapes(const std::string& text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c < 0x20 || c == 0x7f) return true;
    // C1 controls, line separators and the byte order mark are not printable in YAML.
    const auto next = [&](std::size_t k) {
      return i + k < text.size() ? static_cast<unsigned char>(text[i + k]) : 0;
    };
    if (c == 0xc2 && next(1) < 0xa0) return true;
    if (c == 0xe2 && next(1) == 0x80 && (next(2) == 0xa8 || next(2) == 0xa9)) return true;
    if (c == 0xef && next(1) == 0xbb && next(2) == 0xbf) return true;
  }
  return false;
}

std::string double_quoted(const std::string& text) {
  std::string out = "\"";
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c == '"' || c == '\\') {
      out += {'\\', text[i]};
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c < 0x20 || c == 0x7f) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned>(c));
    } else if (c == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned>(static_cast<unsigned char>(text[++i])));
    } else if (text.compare(i, 3, "\xe2\x80\xa8") == 0 || text.compare(i, 3, "\xe2\x80\xa9") == 0) {
      out += text[i + 2] == '\xa8' ? "\\u2028" : "\\u2029";
      i += 2;
    } else if (text.compare(i, 3, "\xef\xbb\xbf") == 0) {
      out += "\\ufeff";
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out + "\"";
}

std::string single_quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("''") : std::string(1, c);
  return out + "'";
}

std::string yaml_float(double value) {
  std::string text = python_float(value);
  if (text == "nan" || text == "inf") return "." + text;
  if (text == "-inf") return "-.inf";
  // YAML 1.1 wants a dot in the mantissa.
  if (text.find('.') == std::string::npos) text.insert(text.find('e'), ".0");
  return text;
}

std::string scalar_text(const Node& node, bool in_flow) {
  switch (node.kind()) {
    case Node::Kind::kNull:
      return "null";
    case Node::Kind::kBool:
      return node.as_bool() ? "true" : "false";
    case Node::Kind::kInt:
      return std::to_string(node.as_int());
    case Node::Kind::kDouble:
      return yaml_float(node.as_double());
    default:
      return yaml_string(node.as_string(), in_flow);
  }
}

std::string key_text(const Key& key, bool in_flow) {
  if (key.is_string()) return yaml_string(key.text(), in_flow);
  if (const auto* number = std::get_if<double>(&key.value())) return yaml_float(*number);
  if (const auto* boolean = std::get_if<bool>(&key.value())) return *boolean ? "true" : "false";
  return key.text();
}

class BlockWriter {
 public:
  explicit BlockWriter(YamlStyle style) : style_(style) {}

  /// Writes a list or map whose first line continues the line begun.
  void write_block(const Node& node, std::size_t indent) {
    bool first = true;
    const auto begin_line = [&] {
      if (!first) out_.append(indent, ' ');
      first = false;
    };
    if (node.is_list()) {
      for (const Node& element : node.as_list()) {
        begin_line();
        out_ += "- ";
        if (is_block(element)) {
          write_block(element, indent + 2);
        } else {
          end_scalar(element);
        }
      }
      return;
    }
    for (const Entry& entry : node.as_map()) {
      begin_line();
      out_ += key_text(entry.key, false) + ":";
      if (!is_block(entry.value)) {
        out_ += ' ';
        end_scalar(entry.value);
        continue;
      }
      // PyYAML puts a list at the indentation of its key.
      const std::size_t inner = entry.value.is_list() ? indent : indent + 2;
      out_ += '\n';
      out_.append(inner, ' ');
      write_block(entry.value, inner);
    }
  }

  std::string take() { return std::move(out_); }

  static bool is_block(const Node& node) { return !node.is_scalar() && node.size() > 0; }

  void end_scalar(const Node& node) {
    out_ += node.is_scalar() ? scalar_text(node, false) : node.is_list() ? "[]" : "{}";
    if (style_.origins && node.mark().known()) out_ += "  # " + node.mark().text();
    out_ += '\n';
  }

 private:
  YamlStyle style_;
  std::string out_;
};

void write_flow(const Node& node, std::string& out) {
  if (node.is_scalar()) {
    out += scalar_text(node, true);
    return;
  }
  bool first = true;
  out += node.is_list() ? '[' : '{';
  if (node.is_list()) {
    for (const Node& element : node.as_list()) {
      if (!std::exchange(first, false)) out += ", ";
      write_flow(element, out);
    }
    out += ']';
    return;
  }
  for (const Entry& entry : node.as_map()) {
    if (!std::exchange(first, false)) out += ", ";
    out += key_text(entry.key, true) + ": ";
    write_flow(entry.value, out);
  }
  out += '}';
}

}  // namespace

std::string yaml_string(const std::string& text, bool in_flow) {
  if (needs_escapes(text)) return double_quoted(text);
  if (plain_syntax(text, in_flow) && !reads_as_other_type(text)) return text;
  return single_quoted(text);
}

std::string to_yaml(const Node& node, YamlStyle style) {
  BlockWriter writer(style);
  if (BlockWriter::is_block(node)) {
    writer.write_block(node, 0);
  } else {
    writer.end_scalar(node);
  }
  return writer.take();
}

std::string to_flow_yaml(const Node& node) {
  std::string out;
  write_flow(node, out);
  return out;
}

}  // namespace triptych::config
