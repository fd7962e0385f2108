// SPDX-License-Identifier: Apache-2.0
//
// longshore completion bash: a completion script made from the commands and flags themselves.
#include <CLI/CLI.hpp>
#include <ostream>

#include "cli/session.h"
#include "common/base/strings.h"

namespace longshore::cli {
namespace {

// Commands and long flags that may follow `command`.
std::vector<std::string> WordsAfter(const CLI::App& command) {
  std::vector<std::string> words;
  for (const CLI::App* next : command.get_subcommands({})) words.push_back(next->get_name());
  for (const CLI::App* level = &command; level != nullptr; level = level->get_parent()) {
    for (const CLI::Option* option : level->get_options()) {
      for (const std::string& name : option->get_lnames()) words.push_back("--" + name);
    }
  }
  return words;
}

// One `case` branch for each command path: "request create") words="…".
void AddBranches(const CLI::App& command, const std::string& path, std::string& script) {
  script += "    \"" + path + "\") words=\"" + Join(WordsAfter(command), " ") + "\" ;;\n";
  for (const CLI::App* next : command.get_subcommands({})) {
    AddBranches(*next, path.empty() ? next->get_name() : path + " " + next->get_name(), script);
  }
}

std::string BashScript(const CLI::App& app) {
  std::string branches, paths;
  AddBranches(app, "", branches);
  return "# bash completion for longshore: source <(longshore completion bash)\n"
         "_longshore() {\n"
         "  local path=\"\" next words word\n"
         "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
         "    case $word in -*) continue ;; esac\n"
         "    next=\"${path:+$path }$word\"\n"
         "    _longshore_words \"$next\" >/dev/null && path=$next\n"
         "  done\n"
         "  words=$(_longshore_words \"$path\")\n"
         "  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\")\n"
         "}\n"
         "_longshore_words() {\n"
         "  local words\n"
         "  case $1 in\n" +
         branches +
         "    *) return 1 ;;\n"
         "  esac\n"
         "  printf '%s\\n' \"$words\"\n"
         "}\n"
         "complete -F _longshore longshore\n";
}

}  // namespace

void AddCompletionCommand(CLI::App& app, Session& session) {
  auto* completion = app.add_subcommand("completion", "Print a completion script");
  completion->require_subcommand(1);
  auto* bash = completion->add_subcommand("bash", "source <(longshore completion bash)");
  bash->callback([&app, &session] {
    session.action = [&app, &session]() -> Status {
      session.io.out << BashScript(app);
      return {};
    };
  });
}

}  // namespace longshore::cli
