"""Made-up Chinese names for places, streets, firms and people; any likeness is chance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

Rng = np.random.Generator


def _words(text: str) -> list[str]:
    """Return the words of `text`."""
    return text.split()


SUBDISTRICTS: Final = ("云溪", "松港", "北桥", "海屿", "兰亭")
COMMUNITIES: Final = _words(
    "柳岸 棠湖 竹里 听潮 望海 槐荫 梧桐 月泉 杏林 枫桥 石桥 临港 新河 双井 "
    "鼓楼 文昌 惠民 和平 南湾 东泊 西滩 北屿 桃源 银杏 金沙 白鹭 青禾 红旗 "
    "光明 前进 朝霞 翠屏 丹桂 紫藤 莲塘 荷风 麦岭 稻香 沙河 渔歌 灯塔 盐场 "
    "果园 茶亭 马坊 铁铺 砚台 书院 安居 永福 "
)
FIRST: Final = _words(
    "云 松 海 兰 柳 棠 竹 月 枫 槐 梧 桂 莲 荷 杏 桃 梅 菊 银 金 白 青 "
    "翠 紫 丹 碧 明 朝 晨 晓 春 秋 长 永 宁 安 和 康 福 瑞 祥 嘉 景 华 "
    "文 德 仁 礼 义 智 诚 信 惠 民 新 建 兴 振 通 达 平 清 静 远 望 听 "
    "观 揽 凌 临 沧 澜 "
)
SECOND: Final = _words(
    "溪 港 桥 屿 亭 岸 湖 里 潮 泉 林 荫 桐 河 湾 泊 滩 山 岭 原 沙 鹭 "
    "禾 霞 屏 塘 风 香 歌 坊 亭 台 院 居 园 川 江 浦 洲 渡 城 门 阳 丰 "
    "盛 源 泽 昌 宁 平 康 乐 裕 茂 顺 泰 和 光 "
)
COMPOUND_FIRST: Final = _words(
    "锦绣 阳光 丽景 海棠 翠湖 金桂 书香 春江 观澜 望海 碧水 龙泉 凤凰 紫荆 "
    "玉兰 香樟 绿洲 蓝湾 御景 荣盛 万和 康乐 幸福 祥和 永安 东方 西城 南苑 "
    "北辰 中央 世纪 时代 星河 月亮湾 水岸 枫林 梧桐 桃李 芳草 怡景 雅居 静安 "
    "瑞景 嘉禾 名仕 学府 橡树 银滩 听涛 云顶 天鹅 鹿鸣 松涛 竹韵 荷塘 柳浪 "
    "杏花 麦田 果岭 海晏 "
)
COMPOUND_NEW: Final = ("花园", "家园", "苑", "华府", "名邸", "新城", "公馆", "嘉园", "雅苑", "府")
COMPOUND_OLD: Final = ("小区", "新村", "里", "东里", "西里", "南里", "北里", "宿舍", "大院")
COMPOUND_HOLIDAY: Final = ("海景公寓", "度假村", "海岸", "假日花园")
WORKS: Final = _words(
    "机械厂 食品厂 纺织厂 家具厂 电缆厂 渔具厂 包装厂 铸造厂 塑料厂 服装厂 粮油厂 "
    "玻璃厂 仪表厂 建材厂 冷链物流园 产业园 "
)
SURNAMES: Final = (
    "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡"
    "贾丁魏薛叶阎余潘杜戴夏钟汪田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段钱"
    "汤尹黎易常武乔"
)
GIVEN: Final = (
    "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰飞鹏辉云波琳莹雪梅红斌宇浩凯健俊帆婷"
    "慧丹倩颖璐瑶佳欣怡然晨阳博文瑞诚志远建国海峰春燕晓东国庆立新永康思源"
)
DEPARTMENTS: Final = (
    ("城市管理局", "E01 E02 E04 C03"),
    ("住房和城乡建设局", "E03 C01"),
    ("公安局", "E0403"),
    ("交通运输局", "C02"),
    ("园林绿化中心", "C04"),
    ("生态环境局", "E0302 E0405"),
    ("应急管理局", "E05"),
    ("消防救援大队", "C0503 E0604"),
    ("市场监督管理局", "E0401"),
    ("水务局", "C0104 E0504"),
    ("供电公司", "C0103 C0501"),
    ("民政局", "E0605"),
    ("司法局", "E0601"),
    ("物业管理中心", "E0602 C0502"),
    ("自然资源局", "E0303"),
)
"""The 15 departments and the categories each of them takes; the longest code that fits decides."""

DIGITS: Final = "零一二三四五六七八九"


def chinese_number(n: int) -> str:
    """Write 1 to 99 in Chinese figures: 7 is 七, 12 is 十二, 40 is 四十."""
    if n < 10:
        return DIGITS[n]
    tens, ones = divmod(n, 10)
    head = "十" if tens == 1 else f"{DIGITS[tens]}十"
    return head + (DIGITS[ones] if ones else "")


def unique(rng: Rng, first: list[str], second: list[str], known: tuple[str, ...]) -> Iterator[str]:
    """Yield names that never repeat: `known` ones, then pairs in a drawn order, then numbered."""
    given = set()
    for name in known:
        if name not in given:
            given.add(name)
            yield name
    pairs = rng.permutation(len(first) * len(second))
    for turn in ("", "东", "西", "南", "北", "新", "前", "后", "上", "下"):
        for pair in pairs:
            a, b = divmod(int(pair), len(second))
            name = first[a] + second[b] + turn
            if first[a] != second[b] and name not in given:
                given.add(name)
                yield name


def people(count: int, rng: Rng) -> list[str]:
    """Draw `count` personal names; like real ones, some occur twice."""
    surname = rng.integers(0, len(SURNAMES), count)
    given = rng.integers(0, len(GIVEN), (count, 2))
    short = rng.random(count) < 0.25
    return [
        SURNAMES[s] + GIVEN[a] + ("" if brief else GIVEN[b])
        for s, (a, b), brief in zip(surname, given, short, strict=True)
    ]
