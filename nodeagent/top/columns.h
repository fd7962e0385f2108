// SPDX-License-Identifier: Apache-2.0
//
// The columns of `top`: how each is named, shown, and sorted by. One table for the terminal, the
// plain output, --sort and the keys.
#pragma once

#include <chrono>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "nodeagent/top/rates.h"

namespace longshore::nodeagent::top {

struct Column {
  const char* name;   // of --sort
  const char* title;  // its width is the column's at least
  int width;
  std::string (*text)(const Row& row);
  double (*value)(const Row& row);
};

// By importance: a narrow terminal shows the first ones.
std::span<const Column> Columns();
// Its place; -1: there is none of that name.
int FindColumn(std::string_view name);
std::string ColumnNames();  // "cpu, wait, …"

// The most first (or the least, when reversed); equals by name.
void SortRows(std::vector<Row>& rows, const Column& column, bool reverse);

// At most 6 characters each, "-" for what isn't known.
std::string ShortCores(double cores);       // "250m", "12.5"
std::string ShortBytes(double bytes);       // "0", "512", "1.5M"
std::string ShortCount(double count);       // "0", "1.5k"
std::string ShortLatency(Latency latency);  // "<64us", "<16ms", ">512ms"
std::string Percent(double share);          // "12%"

}  // namespace longshore::nodeagent::top
