// SPDX-License-Identifier: Apache-2.0
//
// Which pre-configured image serves a source? By kind, server version and the operations that the
// request's purpose needs. Pure; the request reconciler records the answer with all candidates and
// the reason for each.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/api/request.h"
#include "common/api/source.h"

namespace longshore::controller {

// "9.6" < "17" < "17.2": by leading numbers; a missing number is 0.
int CompareVersions(std::string_view a, std::string_view b);

// Whether the version lies in the range; both ends are inclusive, and an end of fewer numbers holds
// everything that begins with it ("17" holds 17.2).
bool InRange(std::string_view version, const api::VersionRange& range);

// Empty when some image has the kind, else what is missing, with the kinds that there are.
std::string NoImageOfKind(const std::string& kind, const std::vector<api::SourceImage>& images);

// `purpose` is the operation that the image must offer: "Backup", "Restore" or "Verify". `version`:
// of the server; empty when nobody knows it yet: then the range doesn't matter and the newest wins.
// The choice has an empty name when nothing fits; its reason then says what is missing.
api::ImageChoice ChooseImage(const std::string& kind, const std::string& version,
                             const std::string& purpose,
                             const std::vector<api::SourceImage>& images);

}  // namespace longshore::controller
