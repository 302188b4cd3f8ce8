// Opening hours in OSM's short form, with days in the reader's words.

import { isChinese } from "./dom.js";

const DAYS = {
  Mo: ["周一", "Mon"],
  Tu: ["周二", "Tue"],
  We: ["周三", "Wed"],
  Th: ["周四", "Thu"],
  Fr: ["周五", "Fri"],
  Sa: ["周六", "Sat"],
  Su: ["周日", "Sun"],
  PH: ["节假日", "holidays"],
  off: ["休息", "closed"],
};

export function openHours(text) {
  if (!text) return "";
  const column = isChinese ? 0 : 1;
  if (text.trim() === "24/7") return isChinese ? "全天开放" : "always open";
  return text
    .replace(/\bMo-Su\b/g, isChinese ? "每天" : "daily")
    .replace(/\b(Mo|Tu|We|Th|Fr|Sa|Su)-(Mo|Tu|We|Th|Fr|Sa|Su)\b/g, (whole, from, to) =>
      `${DAYS[from][column]}${isChinese ? "至" : "–"}${DAYS[to][column]}`)
    .replace(/\b(Mo|Tu|We|Th|Fr|Sa|Su|PH|off)\b/g, (day) => DAYS[day][column])
    .replace(/(\d\d:\d\d)-(\d\d:\d\d)/g, "$1–$2")
    .replace(/,(?=\S)/g, isChinese ? "、" : ", ");
}
