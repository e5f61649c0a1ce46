// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/role_kinds.h"

#include "framework/core/error.h"

#include <optional>

namespace triptych {
namespace {

std::optional<EntryKind> kind_of(const std::string& role) {
  if (role.ends_with("label")) return EntryKind::kLabel;
  if (role.ends_with("points")) return EntryKind::kPoints;
  if (role == "displacement") return EntryKind::kVectorField;
  return std::nullopt;
}

}  // namespace

void check_role_kinds(const Batch& batch, const std::string& task) {
  for (const auto& [role, entry] : batch.entries) {
    const std::optional<EntryKind> expected = kind_of(role);
    if (!expected || entry.kind == *expected) continue;
    throw data_error(fmt::format("tasks.{}.roles.{}: expected an entry of kind {}, got one of {}",
                                 task,
                                 role,
                                 kind_text(*expected),
                                 kind_text(entry.kind)));
  }
}

}  // namespace triptych
