// SPDX-License-Identifier: Apache-2.0
#include "framework/app/light_verbs.h"
#include "framework/app/reconstruct_config.h"
#include "framework/app/register_config.h"
#include "framework/app/warp_config.h"
#include "framework/config/compose.h"
#include "framework/core/error.h"

#include <algorithm>
#include <cstdio>

namespace triptych::app {
namespace {

constexpr const char* kBash = R"(# bash completion for triptych: source <(triptych completion bash)
_triptych() {
  local line="${COMP_LINE:0:COMP_POINT}" current="" candidates prefix
  local -a words
  read -ra words <<< "$line"
  if [[ "$line" != *[[:space:]] ]]; then
    current="${words[-1]}"
    unset 'words[-1]'
  fi
  mapfile -t candidates < <("${words[0]:-triptych}" completion query "${words[@]:1}" "$current" 2>/dev/null)
  # readline replaces what follows the last word break ('=', ':', '@') only.
  prefix="${current%"${current##*[=:@]}"}"
  COMPREPLY=()
  for candidate in "${candidates[@]}"; do
    [[ "$COMP_WORDBREAKS" == *=* ]] && candidate="${candidate#"$prefix"}"
    COMPREPLY+=("$candidate")
  done
  [[ ${#COMPREPLY[@]} -eq 1 && "${COMPREPLY[0]}" == *[=.] ]] && compopt -o nospace
  return 0
}
complete -o nosort -o default -F _triptych triptych
)";

constexpr const char* kZsh = R"(#compdef triptych
# zsh completion for triptych: triptych completion zsh > "${fpath[1]}/_triptych"
_triptych() {
  local -a candidates open finished
  candidates=("${(@f)$(${words[1]} completion query "${(@)words[2,CURRENT-1]}" "${words[CURRENT]}" 2>/dev/null)}")
  open=(${(M)candidates:#*[=.]})
  finished=(${candidates:#*[=.]})
  compadd -Q -S '' -- $open
  compadd -Q -- $finished
}
if [[ "$funcstack[1]" == _triptych ]]; then _triptych "$@"; else compdef _triptych triptych; fi
)";

using config::Node;

/// The dotted keys of a config struct as words `key=`, and `key=word` where there is a list of
/// words.
class KeyWords final : public config::Visitor {
 public:
  explicit KeyWords(std::string prefix = "") : prefix_(std::move(prefix)) {}
  const std::vector<std::string>& keys() const { return keys_; }
  const std::vector<std::string>& values() const { return values_; }

 private:
  void member_found(const config::FieldSpec& spec,
                    const config::MemberType& type,
                    void* member) override {
    const std::string name = prefix_ + spec.name;
    if (type.kind == config::MemberType::Kind::kStruct) {
      KeyWords nested(name + ".");
      type.visit(member, nested);
      keys_.insert(keys_.end(), nested.keys_.begin(), nested.keys_.end());
      values_.insert(values_.end(), nested.values_.begin(), nested.values_.end());
      return;
    }
    if (type.kind != config::MemberType::Kind::kMap) keys_.push_back(name + "=");
    for (const std::string& word : spec.one_of) values_.push_back(name + "=" + word);
  }

  std::string prefix_;
  std::vector<std::string> keys_, values_;
};

/// What may follow on an unfinished command line.
class Completer {
 public:
  explicit Completer(std::vector<std::string> words) : before_(std::move(words)) {
    if (before_.empty()) return;
    current_ = before_.back();
    before_.pop_back();
  }

  std::vector<std::string> candidates() {
    if (before_.empty() && !current_.starts_with('-')) {
      for (const std::string& verb : verbs()) offer(verb);
      return found_;
    }
    if (current_.starts_with('-')) {
      for (const FlagInfo& flag : flags()) offer(flag.name);
      return found_;
    }
    const std::string& verb = before_.empty() ? current_ : before_.front();
    if (verb == "completion") offer_all({"bash", "zsh"});
    if (verb == "new" && before_.size() == 1)
      offer_all({"backbone", "dataset", "head", "loss", "task", "weighting"});
    if (verb == "describe") describe();
    if (verb == "reconstruct") offer_words<ReconstructConfig>(kScanInputs);
    if (verb == "register") offer_words<RegisterKeys>(kPairInputs, {"start.", "deformation."});
    if (verb == "warp") offer_words<WarpConfig>(kWarpInputs);
    if (verb == "train" || verb == "compose" || verb == "summary" || verb == "generate")
      overrides();
    return found_;
  }

 private:
  void offer(const std::string& candidate) {
    const bool fits = candidate.starts_with(current_);
    if (fits && std::find(found_.begin(), found_.end(), candidate) == found_.end())
      found_.push_back(candidate);
  }
  void offer_all(const std::vector<std::string>& list) {
    for (const std::string& candidate : list) offer(candidate);
  }

  config::ComposeRequest request() const {
    // The words so far may be wrong or unfinished; flags among them still count.
    CommandLine command;
    try {
      command = parse_command_line(before_);
    } catch (const Error&) {
      command.verb = before_.front();
    }
    return compose_request(command);
  }

  /// Kinds are groups, and components are mostly called as their option; losses and transforms
  /// stand in lists, not in groups.
  void describe() {
    const config::ConfigRepository repository(request().search_path);
    if (before_.size() == 1) {
      offer_all(repository.groups());
      offer_all({"loss", "transform"});
    }
    if (before_.size() == 2) offer_all(repository.options(before_[1]));
  }

  /// Keys of a verb's own configuration up to the next dot, or the words that a key may have;
  /// `parts` are keys whose own ones only the engine knows.
  template <class Config, class Roles>
  void offer_words(const Roles& roles, const std::vector<std::string>& parts = {}) {
    KeyWords words;
    Config().visit(words);
    if (current_.find('=') != std::string::npos) return offer_all(words.values());
    std::vector<std::string> keys;
    for (const char* role : roles) keys.push_back(std::string("input.") + role + "=");
    keys.insert(keys.end(), words.keys().begin(), words.keys().end());
    keys.insert(keys.end(), parts.begin(), parts.end());
    for (const std::string& key : keys) {
      const std::size_t dot = key.find('.', current_.size());
      offer(dot == std::string::npos ? key : key.substr(0, dot + 1));
    }
  }

  void overrides() {
    config::ComposeRequest composed = request();
    const config::ConfigRepository repository(composed.search_path);
    const std::size_t signs = std::min(current_.find_first_not_of("+~"), current_.size());
    const std::string sign = current_.substr(0, signs);
    const std::size_t equal = current_.find('=');
    if (equal != std::string::npos) return values(repository, equal);
    for (const std::string& group : repository.groups()) {
      if (!repository.options(group).empty()) offer(sign + group + "=");
    }
    composed.multirun = true;
    try {
      const config::Composition composition = config::compose(composed);
      for (const auto& [key, option] : composition.choices) offer(sign + key + "=");
      offer_keys(composition.config, sign, current_.substr(signs));
    } catch (const Error&) {
      // A command line that does not compose has no keys to offer.
    }
  }

  /// Options of `group=`, also after a comma of a sweep.
  void values(const config::ConfigRepository& repository, std::size_t equal) {
    const std::size_t begin = std::min(current_.find_first_not_of("+~"), equal);
    const std::string key = current_.substr(begin, equal - begin);
    const std::string group = key.substr(0, key.find('@'));
    const std::size_t comma = current_.rfind(',');
    const std::string kept = current_.substr(0, comma == std::string::npos ? equal + 1 : comma + 1);
    for (const std::string& option : repository.options(group)) offer(kept + option);
  }

  /// Keys of the map that the typed path has reached so far: `a.` for maps, `a=` for values.
  void offer_keys(const Node& tree, const std::string& sign, const std::string& typed) {
    const std::size_t dot = typed.rfind('.');
    const std::string prefix = dot == std::string::npos ? "" : typed.substr(0, dot + 1);
    const Node* parent = prefix.empty() ? &tree : tree.find(prefix.substr(0, dot));
    if (parent == nullptr || !parent->is_map()) return;
    for (const config::Entry& entry : parent->as_map()) {
      offer(sign + prefix + entry.key.text() + (entry.value.is_map() ? "." : "="));
    }
  }

  std::vector<std::string> before_;
  std::string current_;
  std::vector<std::string> found_;
};

}  // namespace

int completion(const CommandLine& command) {
  const std::string shell = command.words.empty() ? "" : command.words.front();
  if (shell == "query") {
    for (const std::string& candidate :
         Completer({command.words.begin() + 1, command.words.end()}).candidates()) {
      std::puts(candidate.c_str());
    }
    return 0;
  }
  if (shell != "bash" && shell != "zsh") {
    throw usage_error("completion needs the name of a shell: bash or zsh",
                      "source <(triptych completion bash)");
  }
  std::fputs(shell == "bash" ? kBash : kZsh, stdout);
  return 0;
}

}  // namespace triptych::app
