// SPDX-License-Identifier: Apache-2.0
//
// `top` as text: the node's head, the table, and one pod in full. Lines have no line end and no
// escape sequences; the terminal adds its own. Pure, but for the names of pods.
#pragma once

#include <string>
#include <vector>

#include "common/base/result.h"
#include "nodeagent/top/columns.h"
#include "nodeagent/top/pod_names.h"
#include "nodeagent/top/rates.h"

namespace longshore::nodeagent::top {

struct TableOptions {
  size_t sort = 0;  // of Columns()
  bool reverse = false;
  bool containers = false;
  int width = 0;  // columns beyond it are left out; 0: all
};

struct Table {
  std::string title;
  std::vector<Row> rows;  // sorted
  std::vector<std::string> lines;
};

// CPU, memory, pressure, devices and interfaces that are not idle, and what was lost.
std::vector<std::string> HeadLines(const Sample& before, const Sample& now);
Table MakeTable(const Sample& before, const Sample& now, const TableOptions& options,
                PodNames& names);
// One pod: all its signals, its containers, its devices with those who share them, and who took the
// CPU from it. One line that says so when there is no such pod.
std::vector<std::string> PodLines(const std::string& uid, const Sample& before, const Sample& now,
                                  PodNames& names);
// The pod that is meant: its UID, the beginning of only one, or namespace/name. Errors: kNotFound;
// kInvalidArgument when several begin so.
Result<std::string> FindPod(const std::string& meant, const Sample& now, PodNames& names);

}  // namespace longshore::nodeagent::top
