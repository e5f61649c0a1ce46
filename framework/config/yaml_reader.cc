// SPDX-License-Identifier: Apache-2.0
#include "framework/config/yaml_reader.h"

#include "framework/config/yaml_scalar.h"
#include "framework/core/error.h"
#include "framework/core/file.h"

#include <algorithm>
#include <optional>
#include <sstream>
#include <unordered_map>

#include <fmt/core.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

namespace triptych::config {
namespace {

/// Bytes of the UTF-8 character at the start of `text`, 0 where there is none.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t k) { return static_cast<unsigned char>(text[k]); };
  const unsigned char lead = byte(0);
  const std::size_t length = lead < 0x80   ? 1
                             : lead < 0xc2 ? 0
                             : lead < 0xe0 ? 2
                             : lead < 0xf0 ? 3
                             : lead < 0xf5 ? 4
                                           : 0;
  bool good = length > 0 && length <= text.size();
  for (std::size_t k = 1; good && k < length; ++k) good = (byte(k) & 0xc0) == 0x80;
  return good ? length : 0;
}

/// yaml-cpp reads the escapes \N and \_ as lone bytes 0x85 and 0xa0 instead of U+0085 and U+00A0.
std::string with_whole_characters(const std::string& text) {
  std::string result;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = utf8_length(std::string_view(text).substr(i));
    if (length == 0) result += '\xc2';
    result.append(text, i, std::max<std::size_t>(length, 1));
    i += std::max<std::size_t>(length, 1);
  }
  return result;
}

/// Far beyond honest configurations, far below what recursion over a tree or memory can bear.
constexpr int kDeepest = 200;
constexpr std::size_t kMostNodes = 1'000'000;

std::size_t count_nodes(const Node& node) {
  std::size_t count = 1;
  if (node.is_list()) {
    for (const Node& element : node.as_list()) count += count_nodes(element);
  } else if (node.is_map()) {
    for (const Entry& entry : node.as_map()) count += count_nodes(entry.value);
  }
  return count;
}

/// Builds the tree from the parser's events.
class TreeBuilder final : public YAML::EventHandler {
 public:
  explicit TreeBuilder(std::string_view name) : name_(name) {}

  Node take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& at, YAML::anchor_t anchor) override {
    if (expects_key())
      throw ConfigError("bad_key_type", mark_of(at).text() + ": null cannot be a key");
    add(Node::null(mark_of(at)), anchor, 1);
  }

  void OnScalar(const YAML::Mark& at,
                const std::string& tag,
                YAML::anchor_t anchor,
                const std::string& scalar) override {
    const Mark mark = mark_of(at);
    const std::string text = with_whole_characters(scalar);
    const bool plain = tag.empty() || tag == "?";
    if (expects_key() && plain && text == "<<") {
      frames_.back().merging = true;
      return;
    }
    if (plain) return add(resolve_plain_scalar(text, mark), anchor, 1);
    std::optional<Node> value = resolve_tagged_scalar(tag, text, mark);
    if (!value) {
      throw ConfigError("yaml_syntax",
                        fmt::format("{}: '{}' does not fit its tag '{}'", mark.text(), text, tag),
                        "tags are not needed: quote text, and write numbers plainly");
    }
    add(*std::move(value), anchor, 1);
  }

  void OnAlias(const YAML::Mark& at, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) {
      throw ConfigError("yaml_syntax", mark_of(at).text() + ": an alias inside its own anchor");
    }
    Anchored copy = found->second;
    spend(copy.nodes, at);
    if (copy.value.is_null() && expects_key()) {
      throw ConfigError("bad_key_type", mark_of(at).text() + ": null cannot be a key");
    }
    copy.value.set_mark(mark_of(at));
    add(std::move(copy.value), 0, copy.depth);
  }

  void OnSequenceStart(const YAML::Mark& at,
                       const std::string& tag,
                       YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    begin(at, tag, "seq", Node::list({}, mark_of(at)), anchor);
  }
  void OnSequenceEnd() override { end(); }

  void OnMapStart(const YAML::Mark& at,
                  const std::string& tag,
                  YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    begin(at, tag, "map", Node::map(mark_of(at)), anchor);
  }
  void OnMapEnd() override {
    Frame& frame = frames_.back();
    if (!frame.inherited.empty()) frame.node = with_inherited(frame.node, frame.inherited);
    end();
  }

 private:
  /// A list or map being read.
  struct Frame {
    Node node;
    YAML::anchor_t anchor = 0;
    std::optional<Key> key;  // of the value to come, in a map
    std::unordered_map<std::string, Mark> seen;
    bool merging = false;         // the value to come belongs to `<<`
    std::vector<Node> inherited;  // maps under `<<`; the first one that has a key wins
    int depth = 1;
  };
  struct Anchored {
    Node value;
    int depth;
    std::size_t nodes;
  };

  Mark mark_of(const YAML::Mark& at) const {
    return Mark::in_file(name_, at.line + 1, at.column + 1);
  }

  bool expects_key() const {
    return !frames_.empty() && frames_.back().node.is_map() && !frames_.back().key &&
           !frames_.back().merging;
  }

  void spend(std::size_t nodes, const YAML::Mark& at) {
    nodes_ += nodes;
    if (nodes_ > kMostNodes) {
      throw ConfigError(
          "yaml_syntax",
          fmt::format("{}: more than {} values, aliases included", mark_of(at).text(), kMostNodes));
    }
  }

  void begin(const YAML::Mark& at,
             const std::string& tag,
             const char* kind,
             Node node,
             YAML::anchor_t anchor) {
    if (!tag.empty() && tag != "?" && tag != "!" &&
        tag != std::string("tag:yaml.org,2002:") + kind) {
      throw ConfigError("yaml_syntax",
                        fmt::format("{}: unknown tag '{}'", mark_of(at).text(), tag));
    }
    if (expects_key()) {
      throw ConfigError(
          "bad_key_type",
          fmt::format("{}: {} cannot be a key", mark_of(at).text(), node.kind_name()));
    }
    spend(1, at);
    frames_.push_back(
        {.node = std::move(node), .anchor = anchor, .key = {}, .seen = {}, .inherited = {}});
    check_depth(frames_.size(), mark_of(at));
  }

  void end() {
    Frame frame = std::move(frames_.back());
    frames_.pop_back();
    add(std::move(frame.node), frame.anchor, frame.depth);
  }

  static void check_depth(std::size_t depth, Mark mark) {
    if (depth > static_cast<std::size_t>(kDeepest)) {
      throw ConfigError("yaml_syntax",
                        fmt::format("{}: nested deeper than {} levels", mark.text(), kDeepest));
    }
  }

  /// Puts a finished value where it belongs.
  void add(Node value, YAML::anchor_t anchor, int depth) {
    check_depth(frames_.size() + static_cast<std::size_t>(depth), value.mark());
    if (anchor != 0) anchors_[anchor] = {value, depth, count_nodes(value)};
    if (frames_.empty()) {
      root_ = std::move(value);
      return;
    }
    Frame& frame = frames_.back();
    frame.depth = std::max(frame.depth, depth + 1);
    if (frame.node.is_list()) {
      frame.node.as_list().push_back(std::move(value));
    } else if (std::exchange(frame.merging, false)) {
      add_inherited(frame, std::move(value));
    } else if (!frame.key) {
      frame.key = key_from(value);
      check_new(frame);
    } else {
      frame.node.as_map().push_back({*frame.key, std::move(value)});
      frame.key.reset();
    }
  }

  static Key key_from(const Node& value) {
    const Mark mark = value.mark();
    if (value.is_bool()) return Key(Key::Value(value.as_bool()), mark);
    if (value.is_int()) return Key(Key::Value(value.as_int()), mark);
    if (value.is_double()) return Key(Key::Value(value.as_double()), mark);
    if (value.is_string()) return Key(value.as_string(), mark);
    throw ConfigError("bad_key_type",
                      fmt::format("{}: {} cannot be a key", mark.text(), value.kind_name()));
  }

  static void check_new(Frame& frame) {
    const Key& key = *frame.key;
    const auto [first, is_new] = frame.seen.emplace(identity(key), key.mark());
    if (is_new) return;
    throw ConfigError("yaml_duplicate_key",
                      fmt::format("{}: key '{}' occurs twice; first at {}",
                                  key.mark().text(),
                                  key.text(),
                                  first->second.text()));
  }

  /// Differs for keys of different type or value.
  static std::string identity(const Key& key) {
    return static_cast<char>('0' + key.value().index()) + key.text();
  }

  static void add_inherited(Frame& frame, Node value) {
    if (value.is_map()) {
      frame.inherited.push_back(std::move(value));
      return;
    }
    const Mark mark = value.mark();
    if (!value.is_list()) {
      throw ConfigError(
          "yaml_syntax",
          fmt::format(
              "{}: '<<' merges a map or a list of maps, got {}", mark.text(), value.brief()));
    }
    for (Node& element : value.as_list()) {
      if (!element.is_map()) {
        throw ConfigError(
            "yaml_syntax",
            fmt::format("{}: '<<' merges maps, got {}", element.mark().text(), element.brief()));
      }
      frame.inherited.push_back(std::move(element));
    }
  }

  /// Inherited keys come first, then own ones; an own value takes the place of an inherited one.
  static Node with_inherited(const Node& own, const std::vector<Node>& inherited) {
    Node merged = Node::map(own.mark());
    std::unordered_map<std::string, std::size_t> places;
    const auto put = [&](const Entry& entry) {
      const auto [place, is_new] = places.emplace(identity(entry.key), merged.size());
      if (is_new) {
        merged.as_map().push_back(entry);
      } else {
        merged.as_map()[place->second] = entry;
      }
    };
    for (auto source = inherited.rbegin(); source != inherited.rend(); ++source) {
      std::for_each(source->as_map().begin(), source->as_map().end(), put);
    }
    std::for_each(own.as_map().begin(), own.as_map().end(), put);
    return merged;
  }

  std::string name_;
  Node root_;
  std::vector<Frame> frames_;
  std::unordered_map<YAML::anchor_t, Anchored> anchors_;
  std::size_t nodes_ = 0;
};

/// PyYAML refuses bytes that are no UTF-8; yaml-cpp would pass them on.
void check_utf8(std::string_view text, std::string_view name) {
  int line = 1;
  int column = 1;
  for (std::size_t i = 0; i < text.size(); ++column) {
    const unsigned char lead = static_cast<unsigned char>(text[i]);
    const std::size_t length = utf8_length(text.substr(i));
    const bool good = length > 0;
    const bool control = lead < 0x20 && lead != '\t' && lead != '\n' && lead != '\r';
    if (!good || control) {
      throw ConfigError("yaml_syntax",
                        fmt::format("{}: byte 0x{:02x} does not belong into a text in UTF-8",
                                    Mark::in_file(name, line, column).text(),
                                    lead));
    }
    if (lead == '\n') {
      ++line;
      column = 0;
    }
    i += length;
  }
}

}  // namespace

Node parse_yaml(std::string_view text, std::string_view name) {
  check_utf8(text, name);
  TreeBuilder builder(name);
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    if (parser.HandleNextDocument(builder)) {
      TreeBuilder rest(name);
      if (parser.HandleNextDocument(rest)) {
        throw ConfigError("yaml_syntax",
                          fmt::format("{}: holds more than one YAML document", name));
      }
    }
  } catch (const YAML::Exception& error) {
    const bool known = !error.mark.is_null();
    const Mark mark =
        known ? Mark::in_file(name, error.mark.line + 1, error.mark.column + 1) : Mark::named(name);
    throw ConfigError("yaml_syntax", fmt::format("{}: {}", mark.text(), error.msg));
  }
  return builder.take();
}

Node read_yaml_file(const std::string& path) { return parse_yaml(read_file(path), path); }

}  // namespace triptych::config
